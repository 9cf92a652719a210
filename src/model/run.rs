//! A run as the API and the page know it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::attempt::AttemptSummary;
use super::review::ReviewCounts;
use super::{Frame, Params, PhaseState, RunOrigin, Status, Timestamp};

/// A run's id: a UUIDv7 in its usual text form, lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(Arc<str>);

/// The text is no UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no run id; a run id is a UUID such as 01939f1c-8f2a-7c3e-9d5b-0123456789ab")]
pub struct InvalidRunId(pub String);

impl RunId {
    /// A new id; later ones sort after earlier ones.
    #[cfg(feature = "ssr")]
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last digits, enough for people to tell runs apart.
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
    /// Its name, unique in its pipeline.
    pub name: String,
    /// What became of it.
    pub state: PhaseState,
    /// The command's exit code, once it ended by itself.
    pub exit_code: Option<i32>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// One request to carry out a pipeline (CONTRACT.md, `GET /api/v1/runs/{id}`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The pipeline's name.
    pub pipeline: String,
    /// Where it stands.
    pub status: Status,
    /// The phase that runs, while the run is `running`.
    pub phase: Option<String>,
    /// The current attempt, from 1.
    pub attempt: u32,
    /// The current attempt's parameters.
    pub params: Params,
    /// Of the runs that wait, those with a larger one are carried out first.
    #[serde(default)]
    pub priority: i32,
    /// When it was first asked for.
    pub created_at: Timestamp,
    /// When the current attempt was asked for.
    pub queued_at: Timestamp,
    /// When the current attempt was claimed by a worker.
    pub started_at: Option<Timestamp>,
    /// When the current attempt ended.
    pub finished_at: Option<Timestamp>,
    /// The last seq of its journal.
    pub head: u64,
    /// The current attempt's phases in order.
    pub phases: Vec<Phase>,
    /// Why the current attempt failed or was interrupted, in a sentence.
    pub error: Option<String>,
    /// What a person is asked, while the run waits for the answer. Its status is `running` then.
    #[serde(default)]
    pub approval: Option<ApprovalRequest>,
    /// The request for its end, from when somebody asks until it has ended.
    #[serde(default)]
    pub cancel: Option<Cancellation>,
    /// Who or what asked for the current attempt. Runs of earlier versions have none.
    #[serde(default)]
    pub origin: Option<RunOrigin>,
    /// Whether it stays whatever the rules of retention say: `pinned` and `pins` in JSON.
    #[serde(flatten)]
    pub pin: Pin,
}

/// A request for the end of a run that runs. The newest one, if there are several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancellation {
    /// Who asked.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// When what still runs is killed; `None` if nothing runs, since the run waits for a person.
    pub kill_at: Option<Timestamp>,
    /// Whether it is killed at once, without the grace time: somebody asked twice.
    pub force: bool,
}

impl Cancellation {
    /// Whether somebody may still ask for the end at once: something runs that has the grace time.
    pub const fn can_be_forced(&self) -> bool {
        !self.force && self.kill_at.is_some()
    }
}

/// Whether a run is pinned. That is no frame, so it counts its changes itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pin {
    /// Whether it is.
    pub pinned: bool,
    /// How often that has changed.
    pub pins: u64,
}

/// What the stream of the list tells of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RunListUpdate {
    /// The run is gone.
    Deleted {
        /// Its id.
        id: RunId,
        /// Always true.
        deleted: bool,
    },
    /// The run is now so.
    Changed(Box<Run>),
}

impl RunListUpdate {
    /// This run is gone.
    pub const fn deleted(id: RunId) -> Self {
        Self::Deleted { id, deleted: true }
    }
}

/// What a person is asked before a phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRequest {
    /// The seq of the frame that asks.
    pub seq: u64,
    /// What is asked.
    pub question: String,
}

/// What a person answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalDecision {
    /// Whether the run goes on.
    pub approved: bool,
    /// Who answered.
    pub by: String,
    /// The paths of the patches that are left out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Run {
    /// Whether this tells something that `known`, of the same run, does not. What is told by several ways may come late: the
    /// head never goes back, and every change of status is a frame; changes of the pin are counted.
    pub fn is_newer_than(&self, known: &Self) -> bool {
        self.head >= known.head && self.pin.pins >= known.pin.pins && self != known
    }
}

impl ApprovalDecision {
    /// The file in the workspace where commands after an approval find it, as JSON.
    pub const FILE_NAME: &str = "approval.json";
}

/// Runs, newest first (CONTRACT.md, `GET /api/v1/runs`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunPage {
    /// The runs of this page.
    pub runs: Vec<Run>,
    /// What `before` asks for the page after this one, if there is one.
    pub next: Option<String>,
}

/// Which runs are wanted (CONTRACT.md, `GET /api/v1/runs`). What is `None` does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunFilter {
    /// Only runs that stand there.
    pub status: Option<Status>,
    /// Only runs of this pipeline.
    pub pipeline: Option<String>,
    /// Only runs whose id, pipeline or parameters contain this text, whatever its case.
    pub q: Option<String>,
    /// At most this many, 1 to 200; 50 if left out.
    pub limit: Option<u32>,
    /// Only runs that come after this place: [`RunPage::next`] of the page before.
    pub before: Option<String>,
}

/// What a poll answers (CONTRACT.md, `GET /api/v1/runs/{id}/frames`). All but `redraws` is read in one transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FramePage {
    /// Frames after the cursor, in order.
    pub frames: Vec<Frame>,
    /// How rows of the log among these frames were drawn last, if a frame after this page does it: those frames.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redraws: Vec<Frame>,
    /// The last seq there is.
    pub head: u64,
    /// Where the run stands.
    pub status: Status,
    /// Whether more frames may come by themselves.
    pub active: bool,
    /// Whether the run is pinned: `pinned` and `pins` in JSON.
    #[serde(flatten)]
    pub pin: Pin,
}

/// Everything a run's page shows first: the run, and a part of its journal, read in one transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// The run.
    pub run: Run,
    /// Frames without gaps, in order: the newest, or those around `at`. None if the one in question is too large for a page.
    pub frames: Vec<Frame>,
    /// How rows of the log among these frames were drawn last, if a frame after them does it: those frames.
    #[serde(default)]
    pub redraws: Vec<Frame>,
    /// The seq of the frame that was asked for.
    #[serde(default)]
    pub at: Option<u64>,
    /// How many findings and patches its attempt has.
    #[serde(rename = "tally")]
    pub review_counts: ReviewCounts,
    /// The attempts before its current one, oldest first: the newest of them if there are many.
    #[serde(default)]
    pub earlier: Vec<AttemptSummary>,
    /// The seq of the frame that tells the begin of each phase of its attempt, for those that have begun in it.
    #[serde(default)]
    pub starts: BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_is_a_uuid_in_one_form() {
        let id: RunId = "01939F1C-8F2A-7C3E-9D5B-0123456789AB".parse().unwrap();
        assert_eq!(id.as_str(), "01939f1c-8f2a-7c3e-9d5b-0123456789ab");
        assert_eq!(id.short(), "456789ab");
        for bad in ["", "x", "../etc/passwd", "01939f1c-8f2a-7c3e-9d5b-0123456789a", "%00"] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_comes_late_is_no_news() {
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

    #[test]
    fn the_list_tells_runs_and_that_they_are_gone() {
        let json = serde_json::json!({
            "id": "01939f1c-8f2a-7c3e-9d5b-0123456789ab", "pipeline": "p", "status": "completed", "phase": null, "attempt": 1,
            "params": {}, "created_at": "2026-11-21T10:00:00.000Z", "queued_at": "2026-11-21T10:00:00.000Z", "started_at": null,
            "finished_at": null, "head": 9, "phases": [], "error": null, "pinned": true, "pins": 3,
        });
        let run: Run = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(run.pin, Pin { pinned: true, pins: 3 });
        let written = serde_json::to_value(&run).unwrap();
        assert_eq!((&written["pinned"], &written["pins"]), (&json["pinned"], &json["pins"]));
        let gone = RunListUpdate::deleted(run.id.clone());
        assert_eq!(serde_json::to_value(&gone).unwrap(), serde_json::json!({ "id": run.id, "deleted": true }));
        for listed in [RunListUpdate::Changed(Box::new(run)), gone] {
            let text = serde_json::to_string(&listed).unwrap();
            assert_eq!(serde_json::from_str::<RunListUpdate>(&text).unwrap(), listed);
        }
    }

    #[cfg(feature = "ssr")]
    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let ids: Vec<RunId> = (0..1000).map(|_| RunId::generate()).collect();
        assert!(ids.is_sorted());
    }
}
