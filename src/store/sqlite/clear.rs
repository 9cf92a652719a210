//! What deleted runs have left is taken away: a little in each transaction, since all other writes wait meanwhile.

use rusqlite::{Connection, OptionalExtension, params};

use crate::store::{Clearing, Outcome, RunKey};

/// Frames that go at once, at the most.
const ROWS: u32 = 512;

/// About how many bytes of frames go at once: a patch may have four million, in pages of their own.
const BYTES: i64 = 1 << 20;

/// Attempts that go at once, each with its phases.
const ATTEMPTS: i64 = 32;

/// Pages that are given back at once. Each may be one that is in use and has to be moved.
const PAGES: i64 = 128;

/// So many empty pages are kept, 4 MiB, …
const SPARE: i64 = 1024;

/// … or such a part of all pages, if that is more: what is given back today may be asked for again tomorrow.
const SPARE_PART: i64 = 8;

/// Carries out one step.
pub fn clear(tx: &Connection, clearing: Clearing) -> rusqlite::Result<Outcome> {
    match clearing {
        Clearing::Contents(run) if !is_deleted(tx, run)? => Ok(Outcome::Refused),
        Clearing::Contents(run) => Ok(Outcome::Cleared { more: frames(tx, run)? || attempts(tx, run)? }),
        Clearing::Rest(run) => {
            // Refused by the database itself if a frame is left.
            let rest =
                tx.prepare_cached("DELETE FROM runs WHERE key = ? AND deleted_at IS NOT NULL")?.execute([run.0])?;
            Ok(if rest == 0 { Outcome::Refused } else { Outcome::Cleared { more: false } })
        }
        Clearing::Pages => Ok(Outcome::Cleared { more: pages(tx)? }),
    }
}

fn is_deleted(tx: &Connection, run: RunKey) -> rusqlite::Result<bool> {
    let deleted = tx
        .prepare_cached("SELECT deleted_at IS NOT NULL FROM runs WHERE key = ?")?
        .query_row([run.0], |row| row.get(0))
        .optional()?;
    Ok(deleted.unwrap_or(false))
}

/// Whether there were any.
fn frames(tx: &Connection, run: RunKey) -> rusqlite::Result<bool> {
    // The length in bytes is known without reading the text.
    let mut next =
        tx.prepare_cached("SELECT seq, octet_length(data) FROM frames WHERE run = ? ORDER BY seq LIMIT ?")?;
    let mut found = next.query(params![run.0, ROWS])?;
    let (mut last, mut bytes) = (None, 0);
    while bytes < BYTES
        && let Some(row) = found.next()?
    {
        last = Some(row.get::<_, i64>(0)?);
        bytes += row.get::<_, i64>(1)?;
    }
    drop(found);
    let Some(last) = last else { return Ok(false) };
    tx.prepare_cached("DELETE FROM frames WHERE run = ? AND seq <= ?")?.execute([run.0, last])?;
    tx.prepare_cached("DELETE FROM redraws WHERE run = ? AND row <= ?")?.execute([run.0, last])?;
    Ok(true)
}

/// Whether there were any.
fn attempts(tx: &Connection, run: RunKey) -> rusqlite::Result<bool> {
    let first: Option<i64> =
        tx.prepare_cached("SELECT min(attempt) FROM attempts WHERE run = ?")?.query_row([run.0], |row| row.get(0))?;
    let Some(first) = first else { return Ok(false) };
    for table in ["phases", "attempts"] {
        tx.prepare_cached(&format!("DELETE FROM {table} WHERE run = ? AND attempt < ?"))?
            .execute([run.0, first + ATTEMPTS])?;
    }
    Ok(true)
}

/// Whether there are more than are kept.
fn pages(tx: &Connection) -> rusqlite::Result<bool> {
    let number = |pragma: &str| tx.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    // A database of before this was thought of gives nothing back until it is vacuumed once.
    if number("auto_vacuum")? != super::INCREMENTAL {
        return Ok(false);
    }
    let spare = SPARE.max(number("page_count")? / SPARE_PART);
    let now = (number("freelist_count")? - spare).min(PAGES);
    if now > 0 {
        // One row for each page.
        let mut vacuum = tx.prepare(&format!("PRAGMA incremental_vacuum({now})"))?;
        let mut steps = vacuum.query([])?;
        while steps.next()?.is_some() {}
    }
    Ok(now == PAGES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Status;
    use crate::store::sqlite::{Durability, SqliteStore, by_hand};

    /// A database with a deleted run and one that stays, each with so many frames of so many bytes.
    async fn database(folder: &std::path::Path, frames: i64, bytes: i64) -> Connection {
        let file = folder.join("x.db");
        drop(SqliteStore::open(&file, Durability::Normal).await.unwrap());
        let db = Connection::open(file).unwrap();
        db.pragma_update(None, "foreign_keys", "ON").unwrap();
        for (key, deleted) in [(1, Some(9)), (2, None)] {
            assert_eq!(by_hand::run(&db, "p", Status::Failed, 0), key);
            db.execute("UPDATE runs SET head = ?2, deleted_at = ?3 WHERE key = ?1", params![key, frames, deleted])
                .unwrap();
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
            db.execute("INSERT INTO phases (run, attempt, position, name) SELECT run, attempt, 0, 'a' FROM attempts WHERE run = ?", [key])
                .unwrap();
        }
        db
    }

    fn count(db: &Connection, of: &str) -> i64 {
        db.query_row(&format!("SELECT count(*) FROM {of}"), [], |row| row.get(0)).unwrap()
    }

    fn step(db: &mut Connection, clearing: Clearing) -> rusqlite::Result<Outcome> {
        let tx = db.transaction().unwrap();
        let outcome = clear(&tx, clearing)?;
        tx.commit().unwrap();
        Ok(outcome)
    }

    /// Each step is bounded, by rows and by bytes, and at the end nothing of the run is left and all of the other one.
    #[tokio::test]
    async fn a_deleted_run_goes_in_small_steps() {
        for (frames, bytes, at_once) in
            [(2000, 10, i64::from(ROWS)), (50, 100_000, BYTES / 100_000 + 1), (3, 5_000_000, 1)]
        {
            let folder = tempfile::tempdir().unwrap();
            let mut db = database(folder.path(), frames, bytes).await;
            let mut steps = 0;
            loop {
                let (frames_before, attempts_before) = (count(&db, "frames"), count(&db, "attempts"));
                let outcome = step(&mut db, Clearing::Contents(RunKey(1))).unwrap();
                assert!(frames_before - count(&db, "frames") <= at_once, "{frames} frames of {bytes} bytes");
                assert!(attempts_before - count(&db, "attempts") <= ATTEMPTS);
                match outcome {
                    Outcome::Cleared { more: true } => steps += 1,
                    outcome => break assert!(matches!(outcome, Outcome::Cleared { more: false }), "{outcome:?}"),
                }
            }
            assert!(steps >= frames / at_once, "{steps} steps");
            step(&mut db, Clearing::Rest(RunKey(1))).unwrap();
            assert_eq!(
                (count(&db, "runs"), count(&db, "frames WHERE run = 2"), count(&db, "frames")),
                (1, frames, frames)
            );
            assert_eq!((count(&db, "attempts"), count(&db, "phases")), (100, 100));
        }
    }

    /// What the database itself refuses, whatever the program does.
    #[tokio::test]
    async fn a_run_that_is_there_keeps_all_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let mut db = database(folder.path(), 10, 10).await;
        let refused = |outcome: rusqlite::Result<Outcome>| matches!(outcome, Ok(Outcome::Refused));
        assert!(refused(step(&mut db, Clearing::Contents(RunKey(2)))));
        assert!(refused(step(&mut db, Clearing::Rest(RunKey(2)))));
        assert!(refused(step(&mut db, Clearing::Rest(RunKey(3)))));
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
        let outcome = step(&mut db, Clearing::Rest(RunKey(1)));
        assert!(outcome.is_err_and(|error| error.to_string().contains("stays as long as its run")));
        assert_eq!((count(&db, "runs"), count(&db, "frames")), (2, 20));
    }

    /// The file shrinks to what is kept for later, in steps, and stays sound.
    #[tokio::test]
    async fn empty_pages_are_given_back_in_small_steps() {
        let folder = tempfile::tempdir().unwrap();
        let mut db = database(folder.path(), 2000, 10_000).await;
        while !matches!(step(&mut db, Clearing::Contents(RunKey(1))).unwrap(), Outcome::Cleared { more: false }) {}
        let pragma = |db: &Connection, name: &str| {
            db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0)).unwrap()
        };
        let mut pages = pragma(&db, "page_count");
        assert!(pragma(&db, "freelist_count") > pages / 3);
        while matches!(step(&mut db, Clearing::Pages).unwrap(), Outcome::Cleared { more: true }) {
            let now = pragma(&db, "page_count");
            // And a page of the map of pages now and then.
            assert!((now + PAGES..=now + PAGES + 1).contains(&pages), "{pages} {now}");
            pages = now;
        }
        let free = pragma(&db, "freelist_count");
        assert!(free <= SPARE.max(pages / SPARE_PART) && free > 0, "{free} of {pages}");
        assert_eq!(db.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok");
        assert_eq!(count(&db, "frames"), 2000);
    }
}
