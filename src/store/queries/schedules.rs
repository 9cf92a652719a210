//! What is stored of schedules: cursors, skipped due times, last runs, pauses.

use crate::model::Timestamp;
use crate::model::trigger::{LastRun, SchedulePause, SkipKind, SkippedDueTimes};
use crate::store::RowError;
use crate::store::commands::{ALL_SCHEDULES, ScheduleScope};
use crate::store::row::Row;
use crate::store::statement::{Query, statement};

/// A schedule's pipeline, and its identity within it.
pub type ScheduleName = (String, String);

/// What is known of a schedule besides its file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScheduleState {
    /// Due times that were skipped.
    pub skipped: Option<SkippedDueTimes>,
    /// The last run it asked for.
    pub last: Option<LastRun>,
}

/// The cursor of every schedule: due times up to it are done.
pub fn cursors() -> Query<'static, (ScheduleName, Timestamp)> {
    statement!("SELECT pipeline, schedule, done FROM schedules")
        .read(|row| Ok(((row.get("pipeline")?, row.get("schedule")?), row.get("done")?)))
}

/// What is known of every schedule.
pub fn states() -> Query<'static, (ScheduleName, ScheduleState)> {
    statement!(
        "SELECT schedules.*, runs.id AS run, runs.status AS status, runs.created_at AS created_at FROM schedules
         LEFT JOIN runs ON runs.id = schedules.last_run AND runs.deleted_at IS NULL"
    )
    .read(|row| {
        let state = ScheduleState { skipped: skipped(row)?, last: last_run(row)? };
        Ok(((row.get("pipeline")?, row.get("schedule")?), state))
    })
}

/// Everything that is paused.
pub fn pauses() -> Query<'static, (ScheduleScope, SchedulePause)> {
    statement!("SELECT * FROM schedule_pauses").read(|row| {
        let (pipeline, name): (String, String) = (row.get("pipeline")?, row.get("name")?);
        let all = pipeline == ALL_SCHEDULES;
        let pause =
            SchedulePause { at: row.get("paused_at")?, by: row.get("paused_by")?, reason: row.get("reason")?, all };
        Ok((if all { ScheduleScope::All } else { ScheduleScope::One(pipeline, name) }, pause))
    })
}

fn skipped(row: &dyn Row) -> Result<Option<SkippedDueTimes>, RowError> {
    let count: u64 = row.get("skipped")?;
    let kind = row.text("skip_kind")?.and_then(SkipKind::parse);
    let last: Option<Timestamp> = row.get("skipped_at")?;
    let (Some(kind), Some(last)) = (kind.filter(|_| count > 0), last) else { return Ok(None) };
    let reason = kind.reason(row.text("skip_detail")?.unwrap_or_default());
    Ok(Some(SkippedDueTimes { count, last, kind, reason }))
}

fn last_run(row: &dyn Row) -> Result<Option<LastRun>, RowError> {
    let Some(id) = row.get("run")? else { return Ok(None) };
    Ok(Some(LastRun { id, status: row.get("status")?, at: row.get("created_at")? }))
}
