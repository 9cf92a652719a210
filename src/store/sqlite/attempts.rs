//! What is kept of each attempt beside its run, and the log of its phases.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, params};
use sqlx::Row;

use super::rows;
use super::{SqliteStore, classify, detached};
use crate::model::attempt::{Attempt, AttemptPhase, AttemptSummary};
use crate::model::{FrameRecord, Phase, Status, Timestamp};
use crate::store::{AttemptStore, Change, Pulse, RunKey, StoreError, Write};

/// How many attempts of a run are told of beside the current one where only their status is wanted.
const MARKS: u32 = 200;

/// About how many bytes of a log are read at a time.
const LOG_BYTES: usize = 1 << 20;

/// The columns of an attempt. What the current one has beyond its own row stands in its run.
const ATTEMPT: &str = "attempts.attempt, attempts.status, attempts.params, attempts.queued_at, attempts.started_at, \
     attempts.finished_at, attempts.error, attempts.first, attempts.origin, \
     CASE WHEN attempts.attempt = runs.attempt THEN runs.phase END AS phase, \
     coalesce((SELECT later.first - 1 FROM attempts AS later \
        WHERE later.run = attempts.run AND later.attempt = attempts.attempt + 1), runs.head) AS last, \
     (SELECT json_group_array(json_array(name, state, exit_code, started_at, finished_at, carried, first, last)) FROM \
        (SELECT * FROM phases WHERE phases.run = attempts.run AND phases.attempt = attempts.attempt ORDER BY position) \
     ) AS phases";

/// Lets the attempt's own row say what its run says. Part of the write that changes the run; not for those that only
/// add frames.
pub(super) fn keep(tx: &Connection, write: &Write, attempt: u32) -> rusqlite::Result<()> {
    let (run, at) = (write.run.0, write.at.0);
    let over = |status: Status, error: Option<&str>| {
        tx.prepare_cached("UPDATE attempts SET status = ?, finished_at = ?, error = ? WHERE run = ? AND attempt = ?")?
            .execute(params![status.as_str(), at, error, run, attempt])
            .map(drop)
    };
    match &write.change {
        Change::Claim { .. } => tx
            .prepare_cached("UPDATE attempts SET status = 'running', started_at = ? WHERE run = ? AND attempt = ?")?
            .execute(params![at, run, attempt])
            .map(drop),
        Change::Finish { to, error, .. } => over(to.status(), error.as_deref()),
        Change::Withdraw => over(Status::Cancelled, None),
        // A new attempt has a row of its own.
        Change::Queue { .. }
        | Change::None
        | Change::Extend { .. }
        | Change::Enter { .. }
        | Change::Ask { .. }
        | Change::Answer(_)
        | Change::Resume { .. }
        | Change::AskCancel(_)
        | Change::Try { .. }
        | Change::Tried { .. }
        | Change::Pin { .. }
        | Change::Delete { .. } => Ok(()),
    }
}

/// The seq of the first frame of this write, which may have none.
pub(super) fn first_of(write: &Write, pulse: &Pulse) -> u64 {
    pulse.head + 1 - write.frames.len() as u64
}

/// The attempts before the current one, oldest first, as the caller's transaction sees them: the newest of them if
/// there are many.
pub(super) async fn earlier(
    connection: &mut sqlx::SqliteConnection,
    run: i64,
    attempt: u32,
) -> Result<Vec<AttemptSummary>, StoreError> {
    if attempt <= 1 {
        return Ok(Vec::new());
    }
    let query = "SELECT attempt, status FROM attempts WHERE run = ? AND attempt < ? ORDER BY attempt DESC LIMIT ?";
    let found = sqlx::query(query).bind(run).bind(attempt).bind(MARKS).fetch_all(connection).await.map_err(classify)?;
    let read = |row| Ok(AttemptSummary { attempt: sqlx::Row::try_get(row, "attempt")?, status: rows::status(row)? });
    found.iter().rev().map(read).collect::<Result<_, _>>().map_err(classify)
}

fn attempt(row: &sqlx::sqlite::SqliteRow) -> Result<Attempt, sqlx::Error> {
    type Columns =
        (String, crate::model::PhaseState, Option<i32>, Option<i64>, Option<i64>, u8, Option<u64>, Option<u64>);
    let phases: Vec<Columns> = rows::json(row.try_get("phases")?, "phases")?;
    let phase = |(name, state, exit_code, started_at, finished_at, carried, first, last): Columns| AttemptPhase {
        phase: Phase {
            name,
            state,
            exit_code,
            started_at: started_at.map(Timestamp),
            finished_at: finished_at.map(Timestamp),
        },
        carried: carried != 0,
        first,
        last,
    };
    Ok(Attempt {
        attempt: row.try_get("attempt")?,
        status: rows::status(row)?,
        phase: row.try_get("phase")?,
        params: rows::json(row.try_get("params")?, "params")?,
        queued_at: Timestamp(row.try_get("queued_at")?),
        started_at: rows::moment(row, "started_at")?,
        finished_at: rows::moment(row, "finished_at")?,
        error: row.try_get("error")?,
        first: rows::count(row, "first")?,
        last: rows::count(row, "last")?,
        phases: phases.into_iter().map(phase).collect(),
        origin: rows::origin(row)?,
    })
}

/// Rows that were drawn anew, with their frames.
const REDRAWN: &str = "SELECT redraws.row AS row, frames.seq, ts, attempt, phase, kind, data
     FROM redraws JOIN frames ON frames.run = redraws.run AND frames.seq = redraws.seq
     WHERE redraws.run = ? AND row > ? AND row <= ? ORDER BY row";

#[async_trait]
impl AttemptStore for SqliteStore {
    async fn attempts(&self, run: RunKey, before: Option<u32>, limit: u32) -> Result<Vec<Attempt>, StoreError> {
        let reads = self.reads.clone();
        detached(async move {
            let query = format!(
                "SELECT {ATTEMPT} FROM attempts JOIN runs ON runs.key = attempts.run
                 WHERE attempts.run = ?1 AND runs.deleted_at IS NULL AND (?2 IS NULL OR attempts.attempt < ?2) ORDER BY attempts.attempt DESC LIMIT ?3"
            );
            // Safe: all parts are literals of this module.
            let query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(run.0).bind(before).bind(limit);
            let found = query.fetch_all(&reads).await.map_err(classify)?;
            found.iter().rev().map(attempt).collect::<Result<_, _>>().map_err(classify)
        })
        .await
    }

    async fn log_of(
        &self,
        run: RunKey,
        phase: Arc<str>,
        after: u64,
        until: u64,
    ) -> Result<(Vec<FrameRecord>, u64), StoreError> {
        let reads = self.reads.clone();
        detached(async move {
            let signed = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
            let query = "SELECT seq, ts, attempt, phase, kind, data FROM frames
                 WHERE run = ? AND seq > ? AND seq <= ? AND kind = 'log' AND phase = ? ORDER BY seq";
            let query = sqlx::query(query).bind(run.0).bind(signed(after)).bind(signed(until)).bind(phase.as_ref());
            let mut connection = reads.acquire().await.map_err(classify)?;
            let mut found = query.fetch(&mut *connection);
            let (mut frames, mut size) = (Vec::new(), 0);
            while let Some(row) = futures::TryStreamExt::try_next(&mut found).await.map_err(classify)? {
                let frame = rows::record(&row).map_err(classify)?;
                let seq = frame.seq;
                size += frame.data.len();
                frames.push(frame);
                if size >= LOG_BYTES {
                    return Ok((frames, seq));
                }
            }
            Ok((frames, until))
        })
        .await
    }

    async fn redrawn(&self, run: RunKey, after: u64, until: u64) -> Result<(Vec<(u64, FrameRecord)>, u64), StoreError> {
        let reads = self.reads.clone();
        detached(async move {
            let signed = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
            let query = sqlx::query(REDRAWN).bind(run.0).bind(signed(after)).bind(signed(until));
            let mut connection = reads.acquire().await.map_err(classify)?;
            let mut found = query.fetch(&mut *connection);
            let (mut rows, mut size) = (Vec::new(), 0);
            while let Some(row) = futures::TryStreamExt::try_next(&mut found).await.map_err(classify)? {
                let (first, frame) =
                    (rows::count(&row, "row").map_err(classify)?, rows::record(&row).map_err(classify)?);
                size += frame.data.len();
                rows.push((first, frame));
                if size >= LOG_BYTES {
                    return Ok((rows, first));
                }
            }
            Ok((rows, until))
        })
        .await
    }
}
