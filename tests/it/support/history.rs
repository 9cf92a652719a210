//! Invariants of a run's journal, whatever happened to the server: one path through the statuses, no gaps, and
//! agreement with the API.

use serde_json::Value;

use super::Server;
use super::reader::journal;

/// The moves there are (CONTRACT.md, "Status of a run").
const MOVES: [(&str, &str); 10] = [
    ("pending", "running"),
    ("pending", "cancelled"),
    ("running", "completed"),
    ("running", "failed"),
    ("running", "cancelled"),
    ("running", "interrupted"),
    ("completed", "pending"),
    ("failed", "pending"),
    ("cancelled", "pending"),
    ("interrupted", "pending"),
];

/// A run and its journal up to the run's head.
pub struct History {
    pub run: Value,
    pub frames: Vec<String>,
    /// The worker that claimed it last.
    pub claimed_by: Option<String>,
}

impl History {
    /// Reads a run and checks its journal.
    ///
    /// # Panics
    /// The journal is not as it must be.
    pub async fn of(server: &Server, id: &str) -> Self {
        // The run first: its journal may grow afterwards, but not change up to that head.
        let run = server.run(id).await;
        let frames = journal(server.addr(), id, run["head"].as_u64().unwrap()).await;
        let (mut status, mut attempt, mut claimed_by) = ("pending".to_owned(), 1, None);
        for frame in &frames {
            let frame: Value = serde_json::from_str(frame).unwrap();
            let word = |name: &str| frame["data"][name].as_str().unwrap();
            if frame["kind"] == "status" {
                let (from, to) = (word("from"), word("to"));
                assert_eq!(from, status, "{id}: {frame}");
                assert!(MOVES.contains(&(from, to)), "{id}: {frame}");
                attempt += u64::from(to == "pending");
                if to == "running" {
                    claimed_by = word("reason").strip_prefix("started on ").map(str::to_owned);
                }
                status = to.to_owned();
            } else {
                // Cancelling a pending run first journals its phases as skipped.
                let skipped = status == "pending" && frame["data"]["state"] == "skipped";
                assert!(status == "running" || skipped, "{id}: a {status} run says {frame}");
            }
            assert_eq!(frame["attempt"], attempt, "{id}: {frame}");
        }
        assert_eq!((&run["status"], &run["attempt"]), (&status.into(), &attempt.into()), "the journal of {id} ends so");
        Self { run, frames, claimed_by }
    }

    pub fn status(&self) -> &str {
        self.run["status"].as_str().unwrap()
    }

    /// # Panics
    ///
    /// A frame that was shown is missing or differs.
    pub fn must_begin_with(&self, shown: &[String]) {
        let id = &self.run["id"];
        assert!(shown.len() <= self.frames.len(), "{id}: {} were shown, {} are left", shown.len(), self.frames.len());
        for (shown, is) in shown.iter().zip(&self.frames) {
            assert_eq!(shown, is, "{id}: what was shown has changed");
        }
    }
}
