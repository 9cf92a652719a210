//! Runs: ids, the state of a run, approvals and cancel requests.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::kinds::PhaseState;
use super::origin::RunOrigin;
use super::param::Params;
use super::placement::Shortage;
use super::status::Status;
use super::time::Timestamp;

/// A run's id: a UUIDv7 in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(Arc<str>);

/// The text is not a UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a run id; a run id is a UUID such as 01939f1c-8f2a-7c3e-9d5b-0123456789ab")]
pub struct InvalidRunId(pub String);

impl RunId {
    /// Ids sort in the order of their creation.
    #[cfg(feature = "ssr")]
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last eight digits, enough for people to tell runs apart.
    pub fn short(&self) -> &str {
        self.0.get(28..).unwrap_or(&self.0)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RunId {
    type Err = InvalidRunId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uuid = uuid::Uuid::try_parse(text).map_err(|_| InvalidRunId(text.to_owned()))?;
        Ok(Self(uuid.to_string().into()))
    }
}

impl TryFrom<String> for RunId {
    type Error = InvalidRunId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0.as_ref().to_owned()
    }
}

/// A phase of the run's current attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Unique in its pipeline.
    pub name: String,
    /// What is known of it so far.
    pub state: PhaseState,
    /// Known once the command has exited by itself.
    pub exit_code: Option<i32>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// A request to execute a pipeline (docs/CONTRACT.md, "Runs").
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub id: RunId,
    pub pipeline: String,
    pub status: Status,
    /// The current phase, while the run is `running`.
    pub phase: Option<String>,
    /// The current attempt, from 1.
    pub attempt: u32,
    pub params: Params,
    /// Of pending runs, those with a higher value start first.
    #[serde(default)]
    pub priority: i32,
    /// When the run was first requested.
    pub created_at: Timestamp,
    /// When the current attempt was requested.
    pub queued_at: Timestamp,
    /// When a worker claimed the current attempt.
    pub started_at: Option<Timestamp>,
    /// When the current attempt ended.
    pub finished_at: Option<Timestamp>,
    /// The seq of the journal's last frame.
    pub head: u64,
    /// The phases of the current attempt, in order.
    pub phases: Vec<Phase>,
    /// Why the current attempt failed or was interrupted, in a sentence.
    pub error: Option<String>,
    /// Set while the run waits for approval. Its status is `running` then.
    #[serde(default)]
    pub approval: Option<ApprovalRequest>,
    /// Set from the first cancel request until the attempt has ended.
    #[serde(default)]
    pub cancel: Option<Cancellation>,
    /// Who or what started the current attempt; `None` for runs of versions that did not record it.
    #[serde(default)]
    pub origin: Option<RunOrigin>,
    /// What is missing while no live worker can take the pending run. Only `GET /api/v1/runs/{id}` answers with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<Shortage>,
    /// `pinned` and `pins` in JSON.
    #[serde(flatten)]
    pub pin: Pin,
}

/// A request to cancel a running attempt: the latest one, if there are several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancellation {
    pub by: String,
    pub at: Timestamp,
    /// When processes that are left are killed; `None` while the run waits for approval, since nothing runs.
    pub kill_at: Option<Timestamp>,
    /// Processes are killed at once, without the grace time, because a second request came.
    pub force: bool,
}

impl Cancellation {
    /// Whether a second request can still skip the grace time.
    pub const fn can_be_forced(&self) -> bool {
        !self.force && self.kill_at.is_some()
    }
}

/// Whether retention skips the run. Pinning writes no frame, so the changes are counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pin {
    pub pinned: bool,
    /// The number of changes, which orders updates.
    pub pins: u64,
}

/// The approval that a run waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRequest {
    /// The seq of the `approval` frame.
    pub seq: u64,
    pub question: String,
}

/// A decision on an approval.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalDecision {
    pub approved: bool,
    pub by: String,
    /// The paths of the excluded patches.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// The note given with the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Run {
    /// Whether this is newer than `known`, an earlier copy of the same run. Copies arrive on several ways and may be
    /// late; but the head never decreases, every change of the status is a frame, and changes of the pin are counted.
    pub fn is_newer_than(&self, known: &Self) -> bool {
        self.head >= known.head && self.pin.pins >= known.pin.pins && self != known
    }
}

impl ApprovalDecision {
    /// The file in the workspace in which commands after an approval find the decision, as JSON.
    pub const FILE_NAME: &str = "approval.json";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_id_is_a_lower_case_uuid() {
        let id: RunId = "01939F1C-8F2A-7C3E-9D5B-0123456789AB".parse().unwrap();
        assert_eq!(id.as_str(), "01939f1c-8f2a-7c3e-9d5b-0123456789ab");
        assert_eq!(id.short(), "456789ab");
        for bad in ["", "x", "../etc/passwd", "01939f1c-8f2a-7c3e-9d5b-0123456789a", "%00"] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn run_copy_that_is_late_is_not_newer() {
        let known: Run = serde_json::from_value(serde_json::json!({
            "id": "01939f1c-8f2a-7c3e-9d5b-0123456789ab", "pipeline": "p", "status": "completed", "phase": null, "attempt": 1,
            "params": {}, "created_at": "2026-11-21T10:00:00.000Z", "queued_at": "2026-11-21T10:00:00.000Z", "started_at": null,
            "finished_at": null, "head": 9, "phases": [], "error": null,
        }))
        .unwrap();
        let late = Run { status: Status::Running, head: 5, ..known.clone() };
        let newer = Run { status: Status::Pending, attempt: 2, head: 10, ..known.clone() };
        assert!(known.is_newer_than(&late) && newer.is_newer_than(&known));
        assert!(!late.is_newer_than(&known) && !known.is_newer_than(&known));
        let pinned = Run { pin: Pin { pinned: true, pins: 1 }, ..known.clone() };
        assert!(pinned.is_newer_than(&known) && !known.is_newer_than(&pinned), "told late, the run before is no news");
        assert!(!late.is_newer_than(&pinned) && Run { pin: pinned.pin, ..newer }.is_newer_than(&pinned));
    }

    #[cfg(feature = "ssr")]
    #[test]
    fn run_ids_sort_by_creation() {
        let ids: Vec<RunId> = (0..1000).map(|_| RunId::generate()).collect();
        assert!(ids.is_sorted());
    }
}
