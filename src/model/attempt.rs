//! The attempts of a run: what was asked of each, what became of it, and which frames of the journal are its own.

use serde::{Deserialize, Serialize};

use super::kinds::Outcome;
use super::review::ReviewCounts;
use super::{Params, Phase, Run, RunOrigin, Status, Timestamp};

/// One execution of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number, from 1.
    pub attempt: u32,
    /// Where it stands.
    pub status: Status,
    /// The phase that runs, or before which a person is asked, while the attempt is `running`.
    pub phase: Option<String>,
    /// Its parameters.
    pub params: Params,
    /// When it was asked for.
    pub queued_at: Timestamp,
    /// When a worker claimed it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Why it failed or was interrupted, in a sentence.
    pub error: Option<String>,
    /// The seq of its first frame. Before there is one: the seq that it will have.
    pub first: u64,
    /// The seq of its last frame up to now. One less than `first` while it has none.
    pub last: u64,
    /// Its phases in order.
    pub phases: Vec<AttemptPhase>,
    /// Who or what asked for it. Attempts of earlier versions have none.
    #[serde(default)]
    pub origin: Option<RunOrigin>,
}

/// A phase of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptPhase {
    /// What became of it.
    #[serde(flatten)]
    pub phase: Phase,
    /// Whether that was in an earlier attempt, after which this one goes on: it did not run in this one.
    #[serde(default)]
    pub carried: bool,
    /// The seq of the frame that tells its begin in this attempt, if it has begun.
    #[serde(default)]
    pub first: Option<u64>,
    /// The seq of the frame that tells its end in this attempt, if it has ended.
    #[serde(default)]
    pub last: Option<u64>,
}

/// An attempt in few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptSummary {
    /// Its number.
    pub attempt: u32,
    /// What became of it.
    pub status: Status,
}

/// Attempts of a run, oldest first: the newest ones, or those before a place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AttemptPage {
    /// The attempts.
    pub attempts: Vec<Attempt>,
    /// What `before` asks for those that come before the ones here, if there are any.
    pub next: Option<u32>,
}

/// What the page shows of an attempt besides its frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptView {
    /// The attempt.
    pub attempt: Attempt,
    /// How many findings and patches it has.
    #[serde(rename = "tally")]
    pub review_counts: ReviewCounts,
    /// What it has done to the code, if its last frames say so.
    pub outcome: Option<Outcome>,
    /// The paths of the patches that a person has left out, if its last frames say so.
    pub excluded: Vec<String>,
}

impl Attempt {
    /// How long it took, in milliseconds, if it began and ended.
    pub fn duration_ms(&self) -> Option<u64> {
        self.started_at.zip(self.finished_at).map(|(from, to)| to.since(from))
    }

    /// The run as it stood in this attempt; what all attempts share is taken from the run as it stands now.
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
            // Only the newest attempt of a run asks, and only as it stands now.
            approval: None,
            cancel: None,
            ..run.clone()
        }
    }
}

impl AttemptPhase {
    /// How long it took, in milliseconds, if it began and ended.
    pub fn duration_ms(&self) -> Option<u64> {
        self.phase.started_at.zip(self.phase.finished_at).map(|(from, to)| to.since(from))
    }
}
