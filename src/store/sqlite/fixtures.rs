//! Rows that tests insert without the engine. They reach their status by the transitions that the database allows.

use rusqlite::{Connection, params};

use crate::model::{RunId, Status};

/// A run of this pipeline with this status, which ended at that moment if it is final.
pub fn run(db: &Connection, pipeline: &str, status: Status, ended: i64) -> i64 {
    let begins = "INSERT INTO runs (id, pipeline, params, created_at, queued_at) VALUES (?, ?, '{}', 0, 0)";
    db.execute(begins, params![RunId::generate().as_str(), pipeline]).unwrap();
    let run = db.last_insert_rowid();
    if !matches!(status, Status::Pending | Status::Cancelled) {
        db.execute("UPDATE runs SET status = 'running', lease_until = 1 WHERE key = ?", [run]).unwrap();
    }
    if status.is_finished() {
        let ends = "UPDATE runs SET status = ?, lease_until = NULL, finished_at = ? WHERE key = ?";
        db.execute(ends, params![status.as_str(), ended, run]).unwrap();
    }
    run
}
