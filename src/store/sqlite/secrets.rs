//! The secrets of runs: kept apart from everything that is shown, and removed when the run has ended.
//!
//! Removed means that their bytes are gone. A value is overwritten in its place before it is taken away, the connection
//! overwrites what it moves inside its pages (`PRAGMA secure_delete = FAST`), and then the log, which still has the
//! pages as they were, is written back and cut to nothing. That waits for readers of older pages, so it is tried again
//! until it is done, and once more when the database is opened.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rusqlite::{Connection, params};
use sqlx::Row;

use super::{SqliteStore, WRITE_BUSY_TIMEOUT, classify};
use crate::model::Secrets;
use crate::store::{Change, Committed, Op, Outcome, RunKey, StoreError, StoredSecrets};

/// How long one try to cut the log waits for readers. No write happens meanwhile.
const CUT_PATIENCE: Duration = Duration::from_millis(50);

/// How long after that the next one is made.
const CUT_AGAIN: Duration = Duration::from_millis(500);

/// Puts down the secrets of a run that is asked for, in place of those that it had.
pub(super) fn put(tx: &Connection, run: RunKey, secrets: &Secrets) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM run_secrets WHERE run = ?")?.execute([run.0])?;
    let mut put = tx.prepare_cached("INSERT INTO run_secrets (run, name, value) VALUES (?, ?, ?)")?;
    for (name, value) in secrets.iter() {
        put.execute(params![run.0, name, value.as_bytes()])?;
    }
    Ok(())
}

/// Removes the secrets of a run that has ended, all but their names.
pub(super) fn erase(tx: &Connection, run: RunKey) -> rusqlite::Result<()> {
    // Of the same size, so it takes the same bytes.
    tx.prepare_cached("UPDATE run_secrets SET value = zeroblob(length(value)) WHERE run = ? AND value IS NOT NULL")?
        .execute([run.0])?;
    tx.prepare_cached("UPDATE run_secrets SET value = NULL WHERE run = ? AND value IS NOT NULL")?.execute([run.0])?;
    Ok(())
}

/// Whether this transaction has removed secrets, as far as can be told: it ended a run that had some.
pub(super) fn erased(tx: &Connection, ops: &[Op], outcomes: &[Outcome]) -> rusqlite::Result<bool> {
    for (op, outcome) in ops.iter().zip(outcomes) {
        let (Op::Write(write), Outcome::Committed(Committed { pulse, .. })) = (op, outcome) else { continue };
        if matches!(write.change, Change::Finish { .. } | Change::Withdraw)
            && !pulse.status.is_active()
            && tx.prepare_cached("SELECT 1 FROM run_secrets WHERE run = ?")?.exists([write.run.0])?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes the log back and cuts it to nothing, as soon as no reader needs it.
pub(super) fn cut_log(connection: &Arc<Mutex<Connection>>) {
    if !try_cut(&mut connection.lock().unwrap_or_else(PoisonError::into_inner)) {
        let connection = Arc::downgrade(connection);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(CUT_AGAIN).await;
                let again = Weak::clone(&connection);
                let cut = tokio::task::spawn_blocking(move || {
                    // Closed, the log is cut when the database is opened again.
                    again.upgrade().is_none_or(|open| try_cut(&mut open.lock().unwrap_or_else(PoisonError::into_inner)))
                });
                if cut.await.unwrap_or(true) {
                    return;
                }
            }
        });
    }
}

/// Whether the log is cut.
pub(super) fn try_cut(connection: &mut Connection) -> bool {
    let cut = || {
        connection.busy_timeout(CUT_PATIENCE)?;
        let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        Ok::<_, rusqlite::Error>(busy == 0)
    };
    let done = cut();
    if let Err(error) = connection.busy_timeout(WRITE_BUSY_TIMEOUT) {
        tracing::warn!(%error, "cannot set the time that a statement waits");
    }
    match done {
        Ok(done) => done,
        Err(error) => {
            tracing::debug!(%error, "the log with removed secrets cannot be cut yet");
            false
        }
    }
}

impl SqliteStore {
    pub(super) async fn stored_secrets(&self, run: RunKey) -> Result<StoredSecrets, StoreError> {
        let found = sqlx::query("SELECT name, value FROM run_secrets WHERE run = ? ORDER BY name")
            .bind(run.0)
            .fetch_all(&self.reads)
            .await
            .map_err(classify)?;
        let mut stored = StoredSecrets::default();
        for row in &found {
            let name: String = row.try_get("name").map_err(classify)?;
            match row.try_get::<Option<&[u8]>, _>("value").map_err(classify)? {
                Some(value) => stored.values.insert(name, String::from_utf8_lossy(value)),
                None => stored.removed.push(name),
            }
        }
        Ok(stored)
    }
}
