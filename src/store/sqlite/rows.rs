//! Rows as words, and words as columns.

use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::model::run::Phase;
use crate::model::{PhaseState, Pin, Question, Record, Run, RunId, Status, Timestamp};
use crate::store::{Pulse, RunKey};

/// The columns that [`run`] reads. The phases come along as JSON, so that a list of runs is one statement.
pub const RUN: &str = "runs.key, runs.id, runs.pipeline, runs.status, runs.phase, runs.attempt, runs.params, runs.priority, \
     runs.created_at, runs.started_at, runs.finished_at, runs.head, runs.error, runs.gate, runs.cancel_by, runs.asked, runs.question, \
     runs.pinned, runs.pins, \
     (SELECT json_group_array(json_array(name, state, exit_code, started_at, finished_at)) FROM \
        (SELECT * FROM phases WHERE phases.run = runs.key AND phases.attempt = runs.attempt ORDER BY position) \
     ) AS phases";

/// What a column holds is not what was put there: another program wrote to the file.
fn corrupt(column: &str, error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) }
}

/// A seq or another count that the database keeps as a signed number.
pub fn count(row: &SqliteRow, column: &str) -> Result<u64, sqlx::Error> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|error| corrupt(column, error))
}

/// `status`.
pub fn status(row: &SqliteRow) -> Result<Status, sqlx::Error> {
    row.try_get::<&str, _>("status")?.parse().map_err(|error| corrupt("status", error))
}

/// `status`, `attempt` and `head`.
pub fn pulse(row: &SqliteRow) -> Result<Pulse, sqlx::Error> {
    Ok(Pulse { head: count(row, "head")?, status: status(row)?, attempt: row.try_get("attempt")? })
}

/// What a column holds as a run's id.
pub fn id(text: &str, column: &str) -> Result<RunId, sqlx::Error> {
    text.parse().map_err(|error| corrupt(column, error))
}

/// `id` and `attempt`.
pub fn id_and_attempt(row: &SqliteRow) -> Result<(RunId, u32), sqlx::Error> {
    Ok((id(row.try_get("id")?, "id")?, row.try_get("attempt")?))
}

/// What a column holds as JSON.
pub fn json<T: serde::de::DeserializeOwned>(text: &str, column: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| corrupt(column, error))
}

/// A pattern for `LIKE … ESCAPE '\'`: texts that have this one in them.
pub fn containing(text: &str) -> String {
    let literal = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{literal}%")
}

/// `key` and `attempt`.
pub fn key_and_attempt(row: &SqliteRow) -> Result<(RunKey, u32), sqlx::Error> {
    Ok((RunKey(row.try_get("key")?), row.try_get("attempt")?))
}

/// A time that may not have come yet.
pub fn moment(row: &SqliteRow, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp))
}

fn text_of<'a>(row: &'a SqliteRow, column: &str) -> Result<Option<&'a str>, sqlx::Error> {
    row.try_get(column)
}

/// The columns of [`RUN`].
pub fn run(row: &SqliteRow) -> Result<Run, sqlx::Error> {
    type PhaseColumns = (String, PhaseState, Option<i32>, Option<i64>, Option<i64>);
    let text = |column| row.try_get::<&str, _>(column);
    let phases: Vec<PhaseColumns> = json(text("phases")?, "phases")?;
    // Nobody is asked any more about a run that is to be cancelled.
    let waits = row.try_get::<Option<&str>, _>("gate")? == Some("waiting") && text_of(row, "cancel_by")?.is_none();
    let question = || Ok::<_, sqlx::Error>(Question { seq: count(row, "asked")?, question: row.try_get("question")? });
    Ok(Run {
        id: id(text("id")?, "id")?,
        pipeline: row.try_get("pipeline")?,
        status: status(row)?,
        phase: row.try_get("phase")?,
        attempt: row.try_get("attempt")?,
        params: json(text("params")?, "params")?,
        priority: row.try_get("priority")?,
        created_at: Timestamp(row.try_get("created_at")?),
        started_at: moment(row, "started_at")?,
        finished_at: moment(row, "finished_at")?,
        head: count(row, "head")?,
        phases: phases
            .into_iter()
            .map(|(name, state, exit_code, started_at, finished_at)| Phase {
                name,
                state,
                exit_code,
                started_at: started_at.map(Timestamp),
                finished_at: finished_at.map(Timestamp),
            })
            .collect(),
        error: row.try_get("error")?,
        approval: waits.then(question).transpose()?,
        pin: pin(row)?,
    })
}

/// `pinned` and `pins`.
pub fn pin(row: &SqliteRow) -> Result<Pin, sqlx::Error> {
    Ok(Pin { pinned: row.try_get("pinned")?, pins: count(row, "pins")? })
}

/// `seq`, `ts`, `attempt`, `phase`, `kind` and `data`.
pub fn record(row: &SqliteRow) -> Result<Record, sqlx::Error> {
    Ok(Record {
        seq: count(row, "seq")?,
        ts: Timestamp(row.try_get("ts")?),
        attempt: row.try_get("attempt")?,
        phase: row.try_get::<Option<&str>, _>("phase")?.map(Arc::from),
        kind: row.try_get::<&str, _>("kind")?.into(),
        data: row.try_get::<&str, _>("data")?.into(),
    })
}
