//! Pauses, skipped due times, and deliveries of hooks.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row};

use super::commit::signed;
use super::create::{created, move_mark};
use super::rows::{self, Columns};
use super::{SqliteStore, classify};
use crate::model::trigger::{
    DeliveryFilter, DeliveryResult, HookDelivery, LastRun, RecentRefusals, SchedulePause, SkipKind, SkippedDueTimes,
};
use crate::model::{OverlapPolicy, Timestamp};
use crate::store::{
    Mark, NewDelivery, NewPause, NewRun, Outcome, Place, RunKey, RunTrigger, ScheduleState, StoreError, TriggerOp,
    TriggerStore, Trust,
};

/// How pauses of all schedules are named. No pipeline has such a name.
const ALL: &str = "*";

/// How long deliveries are kept, in milliseconds: 30 days.
const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Calls that are alike and further apart than this, in milliseconds, are two rows: a day.
const ALIKE_MS: i64 = 24 * 60 * 60 * 1000;

/// The longest reason that is kept, in characters.
const LONGEST_REASON: usize = 1000;

/// The longest name that a caller can have kept, in characters.
const LONGEST_NAME: usize = 200;

impl Trust {
    const fn number(self) -> i64 {
        match self {
            Self::Signed => 0,
            Self::Unsigned => 1,
            Self::Unknown => 2,
        }
    }

    /// How many rows are kept.
    const fn quota(self) -> i64 {
        match self {
            Self::Signed => 2000,
            Self::Unsigned => 200,
            Self::Unknown => 20,
        }
    }
}

/// Carries out a write that concerns no run.
pub fn carry_out(tx: &Connection, op: &TriggerOp) -> rusqlite::Result<Outcome> {
    match op {
        TriggerOp::Skip(mark, kind, detail) => return skip(tx, Some(mark), *kind, detail),
        TriggerOp::Pause(pause) => put_pause(tx, pause)?,
        TriggerOp::Resume(place, others) => resume(tx, place, others)?,
        TriggerOp::Deliver(delivery) => put_delivery(tx, delivery)?,
    }
    Ok(Outcome::Triggered)
}

/// Which schedule asks for a run.
pub fn schedule_of(new: &NewRun) -> Option<&str> {
    match &new.trigger {
        Some(RunTrigger::Schedule(slot)) => Some(&slot.schedule),
        Some(RunTrigger::Delivery(_)) | None => None,
    }
}

/// Whether a schedule may have this run now. `None` if it may.
pub fn decide(tx: &Connection, new: &NewRun) -> rusqlite::Result<Option<Outcome>> {
    let Some(RunTrigger::Schedule(slot)) = &new.trigger else { return Ok(None) };
    let pipeline = &new.pipeline.name;
    if !slot.by_hand {
        let paused =
            "SELECT 1 FROM schedule_pauses WHERE (pipeline = ?1 AND name = ?2) OR (pipeline = ?3 AND name = ?3)";
        if tx.prepare_cached(paused)?.exists(params![pipeline, slot.name, ALL])? {
            return skip(tx, new.mark.as_ref(), SkipKind::Paused, "").map(Some);
        }
    }
    // Only one that waits is in the way of a person, and of those that may wait behind one that runs.
    let also = match (slot.overlap, slot.by_hand) {
        (OverlapPolicy::Queue, _) => return Ok(None),
        (OverlapPolicy::Skip, false) => "",
        (OverlapPolicy::Skip, true) | (OverlapPolicy::One, _) => " AND status = 'pending'",
    };
    let active = format!(
        "SELECT key FROM runs INDEXED BY runs_of_schedule
         WHERE pipeline = ? AND schedule = ? AND status IN ('pending', 'running'){also} LIMIT 1"
    );
    let active =
        tx.prepare_cached(&active)?.query_row(params![pipeline, slot.schedule], |row| row.get(0)).optional()?;
    match active {
        None => Ok(None),
        Some(run) if slot.by_hand => created(tx, RunKey(run), false).map(Some),
        Some(_) => skip(tx, new.mark.as_ref(), SkipKind::Overlap, "").map(Some),
    }
}

/// Moves the mark of a due time that has no run, and keeps the reason.
pub fn skip(tx: &Connection, mark: Option<&Mark>, kind: SkipKind, detail: &str) -> rusqlite::Result<Outcome> {
    let Some(mark) = mark else { return Ok(Outcome::Refused) };
    if !move_mark(tx, mark)? {
        return Ok(Outcome::Refused);
    }
    tx.prepare_cached(
        "UPDATE schedules SET skipped = skipped + 1, skipped_at = done, skip_kind = ?, skip_detail = ?
         WHERE pipeline = ? AND schedule = ?",
    )?
    .execute(params![kind.as_str(), cut(detail, LONGEST_REASON), mark.pipeline, mark.schedule])?;
    Ok(Outcome::Skipped(kind))
}

/// Tells what asked for a run that was created just now.
pub fn tell(tx: &Connection, new: &NewRun) -> rusqlite::Result<()> {
    match &new.trigger {
        None => {}
        Some(RunTrigger::Schedule(slot)) => {
            tx.prepare_cached("UPDATE schedules SET last_run = ? WHERE pipeline = ? AND schedule = ?")?
                .execute(params![new.id.as_str(), new.pipeline.name, slot.schedule])?;
        }
        Some(RunTrigger::Delivery(delivery)) => {
            put_delivery(tx, &NewDelivery { run: Some(new.id.clone()), ..delivery.clone() })?;
        }
    }
    Ok(())
}

fn names(place: &Place) -> (&str, &str) {
    match place {
        Place::All => (ALL, ALL),
        Place::One(pipeline, name) => (pipeline, name),
    }
}

fn put_pause(tx: &Connection, NewPause { place, pause }: &NewPause) -> rusqlite::Result<()> {
    let (pipeline, name) = names(place);
    tx.prepare_cached(
        "INSERT INTO schedule_pauses (pipeline, name, paused_at, paused_by, reason) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING",
    )?
    .execute(params![pipeline, name, pause.at.0, pause.by, pause.reason])?;
    Ok(())
}

fn resume(tx: &Connection, place: &Place, others: &[(String, String)]) -> rusqlite::Result<()> {
    let Place::One(pipeline, name) = place else {
        tx.execute("DELETE FROM schedule_pauses", [])?;
        return Ok(());
    };
    let mut keep = tx.prepare_cached(
        "INSERT INTO schedule_pauses (pipeline, name, paused_at, paused_by, reason)
         SELECT ?1, ?2, paused_at, paused_by, reason FROM schedule_pauses WHERE pipeline = ?3 AND name = ?3
         ON CONFLICT DO NOTHING",
    )?;
    for (pipeline, name) in others {
        keep.execute(params![pipeline, name, ALL])?;
    }
    tx.prepare_cached(
        "DELETE FROM schedule_pauses WHERE (pipeline = ?1 AND name = ?2) OR (pipeline = ?3 AND name = ?3)",
    )?
    .execute(params![pipeline, name, ALL])?;
    Ok(())
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Writes a delivery down. Those of callers without the secret that are alike become one row, with a number of calls.
fn put_delivery(tx: &Connection, new: &NewDelivery) -> rusqlite::Result<()> {
    let (trust, pipeline, forge) =
        (new.trust.number(), cut(&new.pipeline, LONGEST_NAME), cut(&new.forge, LONGEST_NAME));
    let (mut since, mut calls) = (new.at.0, signed(new.calls));
    if new.trust != Trust::Signed {
        let alike = tx
            .prepare_cached(
                "DELETE FROM hook_deliveries WHERE key = (
                    SELECT key FROM hook_deliveries INDEXED BY hook_deliveries_trust
                    WHERE trust = ?1 AND pipeline = ?2 AND forge = ?3 AND code IS ?4 AND at >= ?5 ORDER BY key DESC LIMIT 1)
                 RETURNING since, calls",
            )?
            .query_row(params![trust, pipeline, forge, new.code, new.at.0 - ALIKE_MS], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
            .optional()?;
        if let Some((first, before)) = alike {
            (since, calls) = (first.min(since), calls.saturating_add(before));
        }
    }
    tx.prepare_cached(
        "INSERT INTO hook_deliveries (at, since, calls, trust, pipeline, forge, event, delivery, result, code, reason, run)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        new.at.0,
        since,
        calls,
        trust,
        pipeline,
        forge,
        new.event.as_deref().map(|event| cut(event, LONGEST_NAME)),
        new.delivery.as_deref().map(|delivery| cut(delivery, LONGEST_NAME)),
        new.result.as_str(),
        new.code,
        new.reason.as_deref().map(|reason| cut(reason, LONGEST_REASON)),
        new.run.as_ref().map(|run| run.as_str())
    ])?;
    tx.prepare_cached(
        "DELETE FROM hook_deliveries WHERE trust = ?1 AND key <= (
            SELECT key FROM hook_deliveries WHERE trust = ?1 ORDER BY key DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![trust, new.trust.quota()])?;
    tx.prepare_cached("DELETE FROM hook_deliveries WHERE at < ?")?.execute([new.at.0 - KEPT_MS])?;
    Ok(())
}

/// The statement that lists deliveries: each filter has an index in the list's order.
fn list_statement(by_pipeline: bool, by_result: bool) -> String {
    let pipeline = if by_pipeline { " AND pipeline = ?2" } else { "" };
    let result = if by_result { " AND result = ?3" } else { "" };
    format!("SELECT * FROM hook_deliveries WHERE key < ?1{pipeline}{result} ORDER BY key DESC LIMIT ?4")
}

/// The statement that counts those refused since a moment.
const REFUSED_SINCE: &str =
    "SELECT sum(calls) AS calls, max(key) AS last FROM hook_deliveries WHERE result = 'refused' AND at >= ?";

#[async_trait]
impl TriggerStore for SqliteStore {
    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        limit: u32,
        before: Option<i64>,
    ) -> Result<(Vec<HookDelivery>, Option<i64>), StoreError> {
        let pipeline = filter.pipeline.as_deref().filter(|name| !name.is_empty());
        let statement = list_statement(pipeline.is_some(), filter.result.is_some());
        let found = sqlx::query(AssertSqlSafe(statement))
            .bind(before.unwrap_or(i64::MAX))
            .bind(pipeline)
            .bind(filter.result.map(DeliveryResult::as_str))
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.reads)
            .await
            .map_err(classify)?;
        let mut deliveries = found.iter().map(delivery).collect::<Result<Vec<_>, _>>().map_err(classify)?;
        let more = deliveries.len() > limit as usize;
        deliveries.truncate(limit as usize);
        let next = deliveries.last().filter(|_| more).map(|last| last.key);
        Ok((deliveries, next))
    }

    async fn refused_since(&self, since: Timestamp) -> Result<Option<RecentRefusals>, StoreError> {
        let mut tx = self.reads.begin().await.map_err(classify)?;
        let row = sqlx::query(REFUSED_SINCE).bind(since.0).fetch_one(&mut *tx).await.map_err(classify)?;
        let Some(last) = row.try_get::<Option<i64>, _>("last").map_err(classify)? else { return Ok(None) };
        let calls = rows::count(&row, "calls").map_err(classify)?;
        let row = sqlx::query("SELECT * FROM hook_deliveries WHERE key = ?").bind(last).fetch_one(&mut *tx).await;
        let last = row.and_then(|row| delivery(&row)).map_err(classify)?;
        Ok(Some(RecentRefusals { calls, last }))
    }

    async fn schedule_states(&self) -> Result<BTreeMap<(String, String), ScheduleState>, StoreError> {
        let found = sqlx::query(
            "SELECT schedules.*, runs.id AS run, runs.status AS status, runs.created_at AS created_at FROM schedules
             LEFT JOIN runs ON runs.id = schedules.last_run AND runs.deleted_at IS NULL",
        )
        .fetch_all(&self.reads)
        .await;
        let read = |row: &SqliteRow| -> Result<_, sqlx::Error> {
            let state = ScheduleState { skipped: skipped(row)?, last: last_run(row)? };
            Ok(((row.try_get("pipeline")?, row.try_get("schedule")?), state))
        };
        found.and_then(|found| found.iter().map(read).collect()).map_err(classify)
    }

    async fn pauses(&self) -> Result<BTreeMap<Place, SchedulePause>, StoreError> {
        let found = sqlx::query("SELECT * FROM schedule_pauses").fetch_all(&self.reads).await;
        let read = |row: &SqliteRow| -> Result<_, sqlx::Error> {
            let (pipeline, name): (String, String) = (row.try_get("pipeline")?, row.try_get("name")?);
            let all = pipeline == ALL;
            let pause = SchedulePause {
                at: Timestamp(row.try_get("paused_at")?),
                by: row.try_get("paused_by")?,
                reason: row.try_get("reason")?,
                all,
            };
            Ok((if all { Place::All } else { Place::One(pipeline, name) }, pause))
        };
        found.and_then(|found| found.iter().map(read).collect()).map_err(classify)
    }
}

fn delivery(row: &SqliteRow) -> Result<HookDelivery, sqlx::Error> {
    let word: &str = row.try_get("result")?;
    let run: Option<&str> = row.try_get("run")?;
    Ok(HookDelivery {
        key: row.try_get("key")?,
        at: Timestamp(row.try_get("at")?),
        since: Timestamp(row.try_get("since")?),
        calls: rows::count(row, "calls")?,
        pipeline: row.try_get("pipeline")?,
        forge: row.try_get("forge")?,
        event: row.try_get("event")?,
        delivery: row.try_get("delivery")?,
        result: DeliveryResult::parse(word).ok_or_else(|| SqliteRow::corrupt("result", format!("{word:?}").into()))?,
        code: row.try_get("code")?,
        reason: row.try_get("reason")?,
        run: run.map(|run| rows::id(run, "run")).transpose()?,
    })
}

fn skipped(row: &SqliteRow) -> Result<Option<SkippedDueTimes>, sqlx::Error> {
    let count = rows::count(row, "skipped")?;
    let kind = row.try_get::<Option<&str>, _>("skip_kind")?.and_then(SkipKind::parse);
    let last: Option<i64> = row.try_get("skipped_at")?;
    let (Some(kind), Some(last)) = (kind.filter(|_| count > 0), last) else { return Ok(None) };
    let detail: Option<&str> = row.try_get("skip_detail")?;
    Ok(Some(SkippedDueTimes { count, last: Timestamp(last), kind, reason: kind.reason(detail.unwrap_or_default()) }))
}

fn last_run(row: &SqliteRow) -> Result<Option<LastRun>, sqlx::Error> {
    let Some(run) = row.try_get::<Option<&str>, _>("run")? else { return Ok(None) };
    Ok(Some(LastRun {
        id: rows::id(run, "run")?,
        status: rows::status(row)?,
        at: Timestamp(row.try_get("created_at")?),
    }))
}

#[cfg(test)]
#[path = "triggers_tests.rs"]
mod tests;
