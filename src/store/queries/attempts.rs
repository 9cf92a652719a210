//! Attempts of a run, beside each other.

use super::runs::read_origin;
use crate::model::attempt::{Attempt, AttemptPhase, AttemptSummary};
use crate::model::{Phase, PhaseState, Timestamp};
use crate::store::row::Row;
use crate::store::statement::{Query, statement};
use crate::store::transaction::ReadSnapshot;
use crate::store::{RowError, RunKey, StoreError};

/// How many attempts before the current one are listed by their status alone.
const MAX_MARKS: u32 = 200;

/// The columns of an attempt. What the current one has beyond its own row is in its run's.
const ATTEMPT: &str = "attempts.attempt, attempts.status, attempts.params, attempts.queued_at, attempts.started_at,
    attempts.finished_at, attempts.error, attempts.first, attempts.origin,
    CASE WHEN attempts.attempt = runs.attempt THEN runs.phase END AS phase,
    coalesce((SELECT later.first - 1 FROM attempts AS later
        WHERE later.run = attempts.run AND later.attempt = attempts.attempt + 1), runs.head) AS last,
    coalesce((SELECT json_group_array(json_array(name, state, exit_code, started_at, finished_at, carried, first, last))
        FROM (SELECT * FROM phases WHERE phases.run = attempts.run AND phases.attempt = attempts.attempt
            ORDER BY position) AS ordered
    ), '[]') AS phases";

/// Up to `limit` attempts of a run, oldest first: the newest ones, or the newest before `before`.
///
/// # Errors
/// The database could not be read. An unknown or deleted run has none.
pub async fn page(
    db: &mut impl ReadSnapshot,
    run: RunKey,
    before: Option<u32>,
    limit: u32,
) -> Result<Vec<Attempt>, StoreError> {
    let newest = statement!(
        ["SELECT ", ATTEMPT, " FROM attempts JOIN runs ON runs.key = attempts.run
         WHERE attempts.run = $run AND runs.deleted_at IS NULL AND attempts.attempt < $before
         ORDER BY attempts.attempt DESC LIMIT $limit"];
        run: run,
        before: before.map_or(i64::MAX, i64::from),
        limit: limit,
    );
    let mut attempts = db.fetch_all(newest.read(read_attempt)).await?;
    attempts.reverse();
    Ok(attempts)
}

/// The attempts before this one, oldest first: the newest of them if there are many.
pub(super) async fn before(
    db: &mut impl ReadSnapshot,
    run: RunKey,
    attempt: u32,
) -> Result<Vec<AttemptSummary>, StoreError> {
    if attempt <= 1 {
        return Ok(Vec::new());
    }
    let newest: Query<'_, AttemptSummary> = statement!(
        "SELECT attempt, status FROM attempts WHERE run = $run AND attempt < $attempt ORDER BY attempt DESC LIMIT $most";
        run: run,
        attempt: attempt,
        most: MAX_MARKS,
    )
    .read(|row| Ok(AttemptSummary { attempt: row.get("attempt")?, status: row.get("status")? }));
    let mut marks = db.fetch_all(newest).await?;
    marks.reverse();
    Ok(marks)
}

fn read_attempt(row: &dyn Row) -> Result<Attempt, RowError> {
    type PhaseColumns = (String, PhaseState, Option<i32>, Option<i64>, Option<i64>, u8, Option<u64>, Option<u64>);
    let phases: Vec<PhaseColumns> = row.json("phases")?;
    let phase = |(name, state, exit_code, started_at, finished_at, carried, first, last): PhaseColumns| AttemptPhase {
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
        attempt: row.get("attempt")?,
        status: row.get("status")?,
        phase: row.get("phase")?,
        params: row.json("params")?,
        queued_at: row.get("queued_at")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
        error: row.get("error")?,
        first: row.get("first")?,
        last: row.get("last")?,
        phases: phases.into_iter().map(phase).collect(),
        origin: read_origin(row)?,
    })
}
