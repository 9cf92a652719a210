//! Pages of runs and frames, and updates of the list of runs (docs/CONTRACT.md, "Runs").

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::attempt::{AttemptSummary, ReviewCounts};
use crate::model::{Frame, Pin, Run, RunId, Status};

/// An update in the stream of the list (`event: list`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RunListUpdate {
    Deleted {
        id: RunId,
        /// Always true.
        deleted: bool,
    },
    /// The run as it is now.
    Changed(Box<Run>),
}

impl RunListUpdate {
    pub const fn deleted(id: RunId) -> Self {
        Self::Deleted { id, deleted: true }
    }
}

/// A page of runs, newest first (docs/CONTRACT.md, "Runs").
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunPage {
    pub runs: Vec<Run>,
    /// The `before` value of the next page.
    pub next: Option<String>,
}

/// Filters of the list of runs (docs/CONTRACT.md, "Runs"); `None` matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunFilter {
    pub status: Option<Status>,
    pub pipeline: Option<String>,
    /// A part of the id, the pipeline or the parameters, whatever its case.
    pub q: Option<String>,
    /// 1 to 200; 50 by default.
    pub limit: Option<u32>,
    /// [`RunPage::next`] of the previous page.
    pub before: Option<String>,
}

/// A page of frames (docs/CONTRACT.md, "Runs"). The frames, the head and the status are read in one transaction, the
/// pin and the redraws after them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FramePage {
    /// Frames after the cursor, in order.
    pub frames: Vec<Frame>,
    /// The latest redraws of rows in these frames, if they come after this page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redraws: Vec<Frame>,
    /// The seq of the journal's last frame.
    pub head: u64,
    pub status: Status,
    /// Whether frames may follow without a re-run.
    pub active: bool,
    /// `pinned` and `pins` in JSON.
    #[serde(flatten)]
    pub pin: Pin,
}

/// The initial data of a run's page: the run and a part of its journal, read in one transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    pub run: Run,
    /// Consecutive frames: the newest ones, or those around `at`. None if the frame in question is too large for a
    /// page.
    pub frames: Vec<Frame>,
    /// The latest redraws of rows in these frames, if they come after them.
    #[serde(default)]
    pub redraws: Vec<Frame>,
    /// The seq that was requested.
    #[serde(default)]
    pub at: Option<u64>,
    #[serde(rename = "tally")]
    pub review_counts: ReviewCounts,
    /// The attempts before the current one, oldest first; only the newest of them if there are many.
    #[serde(default)]
    pub earlier: Vec<AttemptSummary>,
    /// The seq of the `phase` frame that started each phase in this attempt.
    #[serde(default)]
    pub starts: BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_list_update_roundtrips() {
        let json = serde_json::json!({
            "id": "01939f1c-8f2a-7c3e-9d5b-0123456789ab", "pipeline": "p", "status": "completed", "phase": null, "attempt": 1,
            "params": {}, "created_at": "2026-11-21T10:00:00.000Z", "queued_at": "2026-11-21T10:00:00.000Z", "started_at": null,
            "finished_at": null, "head": 9, "phases": [], "error": null, "pinned": true, "pins": 3,
        });
        let run: Run = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(run.pin, Pin { pinned: true, pins: 3 });
        let written = serde_json::to_value(&run).unwrap();
        assert_eq!((&written["pinned"], &written["pins"]), (&json["pinned"], &json["pins"]));
        let deleted = RunListUpdate::deleted(run.id.clone());
        assert_eq!(serde_json::to_value(&deleted).unwrap(), serde_json::json!({ "id": run.id, "deleted": true }));
        for listed in [RunListUpdate::Changed(Box::new(run)), deleted] {
            let text = serde_json::to_string(&listed).unwrap();
            assert_eq!(serde_json::from_str::<RunListUpdate>(&text).unwrap(), listed);
        }
    }
}
