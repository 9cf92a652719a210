//! Attempts of a run: parameters, result and range of frames.

use serde::{Deserialize, Serialize};

use super::kinds::Outcome;
use super::origin::RunOrigin;
use super::param::Params;
use super::run::{Phase, Run};
use super::status::Status;
use super::time::Timestamp;

/// One execution of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Counts from 1.
    pub attempt: u32,
    pub status: Status,
    /// The current phase, or the phase that waits for approval; only while the attempt is `running`.
    pub phase: Option<String>,
    pub params: Params,
    pub queued_at: Timestamp,
    /// When a worker claimed the attempt.
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Why the attempt failed or was interrupted, in a sentence.
    pub error: Option<String>,
    /// The seq of the attempt's first frame; before that frame exists, the seq that it will get.
    pub first: u64,
    /// The seq of the attempt's latest frame; `first - 1` while there is none.
    pub last: u64,
    pub phases: Vec<AttemptPhase>,
    /// `None` for attempts of versions that did not record it.
    #[serde(default)]
    pub origin: Option<RunOrigin>,
}

/// A phase's result in one attempt, and where the journal has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptPhase {
    #[serde(flatten)]
    pub phase: Phase,
    /// The result is carried over from an earlier attempt: the phase did not run in this one.
    #[serde(default)]
    pub carried: bool,
    /// The seq of the `phase` frame that started the phase in this attempt.
    #[serde(default)]
    pub first: Option<u64>,
    /// The seq of the `phase` frame that ended the phase in this attempt.
    #[serde(default)]
    pub last: Option<u64>,
}

/// An attempt's number and status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptSummary {
    pub attempt: u32,
    pub status: Status,
}

/// A page of attempts, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AttemptPage {
    pub attempts: Vec<Attempt>,
    /// The `before` value of the page with older attempts.
    pub next: Option<u32>,
}

/// How many findings and patches an attempt has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewCounts {
    pub findings: u64,
    pub patches: u64,
}

/// What the run's page shows of an attempt besides its frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptView {
    pub attempt: Attempt,
    #[serde(rename = "tally")]
    pub review_counts: ReviewCounts,
    /// From the attempt's latest `outcome` frame.
    pub outcome: Option<Outcome>,
    /// Paths of the patches excluded at approval, from the latest `approval` frame.
    pub excluded: Vec<String>,
}

impl Attempt {
    /// Milliseconds from start to end; `None` unless both are known.
    pub fn duration_ms(&self) -> Option<u64> {
        self.started_at.zip(self.finished_at).map(|(from, to)| to.since(from))
    }

    /// The run as it was in this attempt. Fields that all attempts share come from the current run.
    pub fn into_run(self, run: &Run) -> Run {
        Run {
            status: self.status,
            phase: self.phase,
            attempt: self.attempt,
            params: self.params,
            queued_at: self.queued_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            phases: self.phases.into_iter().map(|phase| phase.phase).collect(),
            error: self.error,
            origin: self.origin,
            waiting_for: None,
            // Approvals and cancel requests belong to the current attempt.
            approval: None,
            cancel: None,
            ..run.clone()
        }
    }
}

impl AttemptPhase {
    /// Milliseconds from start to end; `None` unless both are known.
    pub fn duration_ms(&self) -> Option<u64> {
        self.phase.started_at.zip(self.phase.finished_at).map(|(from, to)| to.since(from))
    }
}
