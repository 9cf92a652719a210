//! The list of runs: its filter, its pages and its updates (docs/CONTRACT.md, "Runs").

use serde::{Deserialize, Serialize};

use crate::model::run::{Run, RunId};
use crate::model::status::Status;

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

/// A page of runs, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunPage {
    pub runs: Vec<Run>,
    /// The `before` value of the next page.
    pub next: Option<String>,
}

/// Filters of the list of runs; `None` matches everything.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::run::Pin;

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
