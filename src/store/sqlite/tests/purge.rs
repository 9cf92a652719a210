use rusqlite::{Connection, params};

use crate::model::Status;
use crate::store::commands::{MAX_ATTEMPTS, MAX_BYTES, MAX_FRAMES};
use crate::store::sqlite::fixtures;
use crate::store::sqlite::free_pages::{SPARE_PAGES, SPARE_PART, STEP_PAGES};
use crate::store::sqlite::write::purge;
use crate::store::{Durability, PurgeStep, RunKey, Store, StoreError, WriteOutcome};

/// A database with a deleted run and one that stays, each with so many frames of so many bytes.
async fn database(folder: &std::path::Path, frames: i64, bytes: i64) -> Connection {
    let file = folder.join("x.db");
    drop(Store::open_sqlite(&file, Durability::Normal).await.unwrap());
    let db = Connection::open(file).unwrap();
    db.pragma_update(None, "foreign_keys", "ON").unwrap();
    for (key, deleted) in [(1, Some(9)), (2, None)] {
        assert_eq!(fixtures::run(&db, "p", Status::Failed, 0), key);
        db.execute("UPDATE runs SET head = ?2, deleted_at = ?3 WHERE key = ?1", params![key, frames, deleted]).unwrap();
        db.execute(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?2)
             INSERT INTO frames SELECT ?1, n, 0, 1, NULL, 'finding', json_object('x', printf('%.*c', ?3, 'y')) FROM n",
            params![key, frames, bytes],
        )
        .unwrap();
        db.execute(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100)
             INSERT INTO attempts (run, attempt, params, pipeline, queued_at) SELECT ?1, n, '{}', '{}', 0 FROM n",
            [key],
        )
        .unwrap();
        db.execute(
            "INSERT INTO phases (run, attempt, position, name) SELECT run, attempt, 0, 'a' FROM attempts WHERE run = ?",
            [key],
        )
        .unwrap();
    }
    db
}

fn count(db: &Connection, of: &str) -> i64 {
    db.query_row(&format!("SELECT count(*) FROM {of}"), [], |row| row.get(0)).unwrap()
}

/// Each step is bounded, by rows and by bytes, and at the end nothing of the run is left and all of the other one.
#[tokio::test]
async fn purge_removes_a_deleted_run_in_small_steps() {
    for (frames, bytes, at_once) in
        [(2000, 10, i64::from(MAX_FRAMES)), (50, 100_000, MAX_BYTES as i64 / 100_000 + 1), (3, 5_000_000, 1)]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut db = database(folder.path(), frames, bytes).await;
        let mut steps = 0;
        loop {
            let (frames_before, attempts_before) = (count(&db, "frames"), count(&db, "attempts"));
            let outcome = purge(&mut db, PurgeStep::Frames(RunKey(1))).unwrap();
            assert!(frames_before - count(&db, "frames") <= at_once, "{frames} frames of {bytes} bytes");
            assert!(attempts_before - count(&db, "attempts") <= MAX_ATTEMPTS);
            match outcome {
                WriteOutcome::Purged { more: true } => steps += 1,
                outcome => break assert!(matches!(outcome, WriteOutcome::Purged { more: false }), "{outcome:?}"),
            }
        }
        assert!(steps >= frames / at_once, "{steps} steps");
        purge(&mut db, PurgeStep::Row(RunKey(1))).unwrap();
        assert_eq!((count(&db, "runs"), count(&db, "frames WHERE run = 2"), count(&db, "frames")), (1, frames, frames));
        assert_eq!((count(&db, "attempts"), count(&db, "phases")), (100, 100));
    }
}

/// What the database itself refuses, whatever the program does.
#[tokio::test]
async fn purge_leaves_runs_that_are_not_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = database(folder.path(), 10, 10).await;
    let refused = |outcome: Result<WriteOutcome, StoreError>| matches!(outcome, Ok(WriteOutcome::Refused));
    assert!(refused(purge(&mut db, PurgeStep::Frames(RunKey(2)))));
    assert!(refused(purge(&mut db, PurgeStep::Row(RunKey(2)))));
    assert!(refused(purge(&mut db, PurgeStep::Row(RunKey(3)))));
    for (statement, why) in [
        ("DELETE FROM frames WHERE run = 2 AND seq = 10", "stays as long as its run"),
        ("DELETE FROM runs WHERE key = 2", "marked as deleted"),
        ("DELETE FROM runs WHERE key = 1", "stays as long as its run"),
        ("UPDATE runs SET deleted_at = NULL WHERE key = 1", "does not come back"),
        ("UPDATE runs SET status = 'pending', attempt = 2 WHERE key = 1", "CHECK"),
        ("UPDATE runs SET pinned = 1 WHERE key = 1", "CHECK"),
        ("UPDATE runs SET pinned = 1, deleted_at = 1 WHERE key = 2", "CHECK"),
    ] {
        let error = db.execute(statement, []).expect_err(statement).to_string();
        assert!(error.contains(why), "{statement}: {error}");
    }
    let outcome = purge(&mut db, PurgeStep::Row(RunKey(1)));
    assert!(outcome.is_err_and(|error| error.to_string().contains("stays as long as its run")));
    assert_eq!((count(&db, "runs"), count(&db, "frames")), (2, 20));
}

/// The file shrinks to what is kept for later, in steps, and stays sound.
#[tokio::test]
async fn vacuum_gives_pages_back_in_small_steps() {
    let folder = tempfile::tempdir().unwrap();
    let mut db = database(folder.path(), 2000, 10_000).await;
    while !matches!(purge(&mut db, PurgeStep::Frames(RunKey(1))).unwrap(), WriteOutcome::Purged { more: false }) {}
    let pragma =
        |db: &Connection, name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0)).unwrap();
    let mut pages = pragma(&db, "page_count");
    assert!(pragma(&db, "freelist_count") > pages / 3);
    while matches!(purge(&mut db, PurgeStep::VacuumPages).unwrap(), WriteOutcome::Purged { more: true }) {
        let now = pragma(&db, "page_count");
        // And a page of the map of pages now and then.
        assert!((now + STEP_PAGES..=now + STEP_PAGES + 1).contains(&pages), "{pages} {now}");
        pages = now;
    }
    let free = pragma(&db, "freelist_count");
    assert!(free <= SPARE_PAGES.max(pages / SPARE_PART) && free > 0, "{free} of {pages}");
    assert_eq!(db.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok");
    assert_eq!(count(&db, "frames"), 2000);
}
