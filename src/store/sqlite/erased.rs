//! Secrets of runs that have ended leave no bytes on the disk.
//!
//! A value is overwritten in its place before it is removed, the connection overwrites what it moves inside its pages
//! (`PRAGMA secure_delete = FAST`), and then the log, which still has the pages as they were, is written back and
//! truncated. That waits for readers of older pages, so it is repeated until it succeeds, and done once more when the
//! database is opened.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::WRITE_BUSY_TIMEOUT;

/// How long truncating the log waits for readers. No write happens meanwhile.
const CUT_PATIENCE: Duration = Duration::from_millis(50);

/// How long after that it is attempted again.
const CUT_RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// Writes the log back and truncates it, as soon as no reader needs it.
pub fn cut_log(connection: &Arc<Mutex<Connection>>) {
    if !try_cut(&mut connection.lock()) {
        let connection = Arc::downgrade(connection);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(CUT_RETRY_INTERVAL).await;
                let again = Weak::clone(&connection);
                let cut = tokio::task::spawn_blocking(move || {
                    // A closed database has its log truncated when it is opened again.
                    again.upgrade().is_none_or(|open| try_cut(&mut open.lock()))
                });
                if cut.await.unwrap_or(true) {
                    return;
                }
            }
        });
    }
}

/// Writes the log back and truncates it. Returns whether no reader needed it.
pub fn try_cut(connection: &mut Connection) -> bool {
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
