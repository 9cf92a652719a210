//! New runs and attempts, and the marks that say how far schedules are done: a due time's run is made with the move of
//! its mark.

use rusqlite::{Connection, OptionalExtension, params};

use super::commit::{INSERT_FRAME, json, run, signed};
use super::{audit, secrets, triggers};
use crate::model::queue::{BusyPolicy, ConcurrencyGroup};
use crate::model::trigger::SkipKind;
use crate::model::{Pipeline, RunOrigin, Timestamp};
use crate::store::{Created, Mark, NewFrame, NewRun, Outcome, RunKey};

/// How long an Idempotency-Key is kept, in milliseconds: a day.
pub(super) const KEPT: i64 = 24 * 60 * 60 * 1000;

/// A new pending run, unless its key, its schedule's mark, its group or the length of the queue refuses it.
pub(super) fn create(tx: &Connection, new: &NewRun) -> rusqlite::Result<Outcome> {
    if let Some((key, digest)) = &new.idempotency {
        tx.prepare_cached("DELETE FROM idempotency_keys WHERE created_at <= ?")?.execute([new.at.0 - KEPT])?;
        let known = tx
            .prepare_cached(
                "SELECT runs.key, digest FROM idempotency_keys AS known
                 LEFT JOIN runs ON runs.key = known.run AND runs.deleted_at IS NULL WHERE known.key = ?",
            )?
            .query_row([key], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Vec<u8>>(1)?)))
            .optional()?;
        if let Some((run, known)) = known {
            return Ok(match run {
                _ if known != *digest => Outcome::KeyConflict,
                Some(run) => created(tx, RunKey(run), false)?,
                None => Outcome::KeyOfDeleted,
            });
        }
    }
    if let Some(decided) = triggers::decide(tx, new)? {
        return Ok(decided);
    }
    let group = new.pipeline.group(&new.params);
    if let Some(ConcurrencyGroup { key, when_busy: BusyPolicy::Refuse }) = &group {
        let busy = "SELECT 1 FROM runs WHERE concurrency_group = ? AND status IN ('pending', 'running')";
        if tx.prepare_cached(busy)?.exists([key])? {
            // A due time whose run is refused is done.
            return triggers::skip(tx, new.mark.as_ref(), SkipKind::GroupBusy, "");
        }
    }
    if let Some(most) = new.most_waiting
        && is_full(tx, most)?
    {
        return match &new.mark {
            Some(mark) => triggers::skip(tx, Some(mark), SkipKind::QueueFull, ""),
            None => Ok(Outcome::QueueFull),
        };
    }
    if let Some(mark) = &new.mark
        && !move_mark(tx, mark)?
    {
        return Ok(Outcome::Refused);
    }
    let params = json(&new.params)?;
    let (group, supersedes) = group_columns(group);
    let clock = new.origin.as_ref().map_or(new.at, |origin| origin.ts.max(new.at));
    tx.prepare_cached(
        "INSERT INTO runs
             (id, pipeline, params, created_at, queued_at, priority, concurrency_group, supersedes, clock, schedule)
         VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        new.id.as_str(),
        new.pipeline.name,
        params,
        new.at.0,
        new.priority,
        group,
        supersedes,
        clock.0,
        triggers::schedule_of(new)
    ])?;
    let run = RunKey(tx.last_insert_rowid());
    add_attempt(tx, run, (1, 1), &new.pipeline, &params, new.at, new.asked_by.as_ref())?;
    if let Some(line) = &new.audit {
        audit::add(tx, line)?;
    }
    if !new.secrets.is_empty() {
        secrets::put(tx, run, &new.secrets)?;
    }
    if let Some(origin) = &new.origin {
        tell_origin(tx, run, origin, clock)?;
    }
    if let Some((key, digest)) = &new.idempotency {
        tx.prepare_cached("INSERT INTO idempotency_keys (key, digest, run, created_at) VALUES (?, ?, ?, ?)")?
            .execute(params![key, digest, run.0, new.at.0])?;
    }
    triggers::tell(tx, new)?;
    created(tx, run, true)
}

/// Whether so many runs wait for a worker. Looks at no more than that.
fn is_full(tx: &Connection, most: u32) -> rusqlite::Result<bool> {
    let last = "SELECT 1 FROM runs INDEXED BY runs_pending WHERE status = 'pending' LIMIT 1 OFFSET ?";
    tx.prepare_cached(last)?.exists([i64::from(most) - 1])
}

pub(super) fn created(tx: &Connection, key: RunKey, new: bool) -> rusqlite::Result<Outcome> {
    Ok(Outcome::Created(Created { key, new, run: Box::new(run(tx, key)?) }))
}

/// `concurrency_group` and `supersedes`.
pub(super) fn group_columns(group: Option<ConcurrencyGroup>) -> (Option<String>, bool) {
    group.map_or((None, false), |ConcurrencyGroup { key, when_busy }| {
        (Some(key), when_busy == BusyPolicy::CancelPrevious)
    })
}

/// The first frame of a run that is not there for anyone yet, so nobody is to be told of it.
fn tell_origin(tx: &Connection, run: RunKey, frame: &NewFrame, at: Timestamp) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE runs SET head = 1 WHERE key = ?")?.execute([run.0])?;
    tx.prepare_cached(INSERT_FRAME)?.execute(params![
        run.0,
        1,
        at.0,
        1,
        frame.phase.as_deref(),
        frame.kind.as_ref(),
        frame.data.as_ref()
    ])?;
    Ok(())
}

/// Whether the mark was where it was believed to be, and is now where it is to be.
pub(super) fn move_mark(tx: &Connection, mark: &Mark) -> rusqlite::Result<bool> {
    let Mark { pipeline, schedule, from, to } = mark;
    let moved = match (from, to) {
        (None, None) => 0,
        (None, Some(to)) => tx
            .prepare_cached("INSERT OR IGNORE INTO schedules (pipeline, schedule, done) VALUES (?, ?, ?)")?
            .execute(params![pipeline, schedule, to.0])?,
        (Some(from), Some(to)) => tx
            .prepare_cached("UPDATE schedules SET done = ? WHERE pipeline = ? AND schedule = ? AND done = ?")?
            .execute(params![to.0, pipeline, schedule, from.0])?,
        (Some(from), None) => tx
            .prepare_cached("DELETE FROM schedules WHERE pipeline = ? AND schedule = ? AND done = ?")?
            .execute(params![pipeline, schedule, from.0])?,
    };
    Ok(moved == 1)
}

/// The rows of a new attempt, with its number and the seq of its first frame, and of its phases, which have not begun.
pub(super) fn add_attempt(
    tx: &Connection,
    run: RunKey,
    (attempt, first): (u32, u64),
    pipeline: &Pipeline,
    params: &str,
    at: Timestamp,
    origin: Option<&RunOrigin>,
) -> rusqlite::Result<()> {
    let origin = origin.map(json).transpose()?;
    tx.prepare_cached(
        "INSERT INTO attempts (run, attempt, first, params, pipeline, queued_at, origin) VALUES (?1, ?2, ?3, ?4, ?5, ?6,
            coalesce(?7, (SELECT origin FROM attempts WHERE run = ?1 AND attempt = ?2 - 1)))",
    )?
    .execute(params![run.0, attempt, signed(first), params, json(pipeline)?, at.0, origin])?;
    let mut add = tx.prepare_cached("INSERT INTO phases (run, attempt, position, name) VALUES (?, ?, ?, ?)")?;
    for (position, phase) in (0i64..).zip(&pipeline.phases) {
        add.execute(params![run.0, attempt, position, phase.name])?;
    }
    Ok(())
}
