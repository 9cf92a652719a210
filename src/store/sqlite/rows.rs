//! Rows as words, and words as columns.

use std::sync::Arc;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::model::run::Phase;
use crate::model::{ApprovalRequest, FrameRecord, PhaseState, Pin, Run, RunId, RunOrigin, Status, Timestamp};
use crate::store::{Pulse, RunKey};

/// The columns that [`run`] reads. The phases come along as JSON, so that a list of runs is one statement.
pub const RUN: &str = "runs.key, runs.id, runs.pipeline, runs.status, runs.phase, runs.attempt, runs.params, runs.priority, \
     runs.created_at, runs.started_at, runs.finished_at, runs.head, runs.error, runs.gate, runs.cancel_by, runs.cancel, runs.asked, runs.question, \
     runs.pinned, runs.pins, \
     (SELECT queued_at FROM attempts WHERE attempts.run = runs.key AND attempts.attempt = runs.attempt) AS asked_at, \
     (SELECT origin FROM attempts WHERE attempts.run = runs.key AND attempts.attempt = runs.attempt) AS origin, \
     (SELECT json_group_array(json_array(name, state, exit_code, started_at, finished_at)) FROM \
        (SELECT * FROM phases WHERE phases.run = runs.key AND phases.attempt = runs.attempt ORDER BY position) \
     ) AS phases";

/// A row, of whichever library has read it: sqlx for what is asked, rusqlite inside of the writer's transactions.
pub trait Columns {
    /// Why a column cannot be read.
    type Error;

    /// What a column holds is not what was put there: another program wrote to the file.
    fn corrupt(column: &str, error: Box<dyn std::error::Error + Send + Sync>) -> Self::Error;

    /// The text in a column.
    fn text(&self, column: &str) -> Result<Option<String>, Self::Error>;

    /// The number in a column.
    fn number(&self, column: &str) -> Result<Option<i64>, Self::Error>;
}

impl Columns for SqliteRow {
    type Error = sqlx::Error;

    fn corrupt(column: &str, source: Box<dyn std::error::Error + Send + Sync>) -> sqlx::Error {
        sqlx::Error::ColumnDecode { index: column.to_owned(), source }
    }

    fn text(&self, column: &str) -> Result<Option<String>, sqlx::Error> {
        self.try_get(column)
    }

    fn number(&self, column: &str) -> Result<Option<i64>, sqlx::Error> {
        self.try_get(column)
    }
}

impl Columns for rusqlite::Row<'_> {
    type Error = rusqlite::Error;

    fn corrupt(column: &str, error: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
        let error = format!("{column}: {error}").into();
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Null, error)
    }

    fn text(&self, column: &str) -> rusqlite::Result<Option<String>> {
        self.get(column)
    }

    fn number(&self, column: &str) -> rusqlite::Result<Option<i64>> {
        self.get(column)
    }
}

/// A text that is always there.
fn text<R: Columns>(row: &R, column: &str) -> Result<String, R::Error> {
    row.text(column)?.ok_or_else(|| R::corrupt(column, "is NULL".into()))
}

/// A whole number that is always there, and fits.
fn number<R: Columns, N: TryFrom<i64, Error: std::error::Error + Send + Sync + 'static>>(
    row: &R,
    column: &str,
) -> Result<N, R::Error> {
    let number = row.number(column)?.ok_or_else(|| R::corrupt(column, "is NULL".into()))?;
    N::try_from(number).map_err(|error| R::corrupt(column, error.into()))
}

/// What a text says, one way or another.
fn read<R: Columns, T, E: std::error::Error + Send + Sync + 'static>(
    column: &str,
    said: Result<T, E>,
) -> Result<T, R::Error> {
    said.map_err(|error| R::corrupt(column, error.into()))
}

/// A seq or another count that the database keeps as a signed number.
pub fn count<R: Columns>(row: &R, column: &str) -> Result<u64, R::Error> {
    number(row, column)
}

/// `status`.
pub fn status<R: Columns>(row: &R) -> Result<Status, R::Error> {
    read::<R, _, _>("status", text(row, "status")?.parse())
}

/// `status`, `attempt` and `head`.
pub fn pulse<R: Columns>(row: &R) -> Result<Pulse, R::Error> {
    Ok(Pulse { head: count(row, "head")?, status: status(row)?, attempt: number(row, "attempt")? })
}

/// What a column holds as a run's id.
pub fn id(text: &str, column: &str) -> Result<RunId, sqlx::Error> {
    read::<SqliteRow, _, _>(column, text.parse())
}

/// `id` and `attempt`.
pub fn id_and_attempt(row: &SqliteRow) -> Result<(RunId, u32), sqlx::Error> {
    Ok((id(row.try_get("id")?, "id")?, row.try_get("attempt")?))
}

/// What a column holds as JSON.
pub fn json<T: serde::de::DeserializeOwned>(text: &str, column: &str) -> Result<T, sqlx::Error> {
    read::<SqliteRow, _, _>(column, serde_json::from_str(text))
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
pub fn moment<R: Columns>(row: &R, column: &str) -> Result<Option<Timestamp>, R::Error> {
    Ok(row.number(column)?.map(Timestamp))
}

/// The columns of [`RUN`].
pub fn run<R: Columns>(row: &R) -> Result<Run, R::Error> {
    type PhaseColumns = (String, PhaseState, Option<i32>, Option<i64>, Option<i64>);
    let phases: Vec<PhaseColumns> = read::<R, _, _>("phases", serde_json::from_str(&text(row, "phases")?))?;
    // Nobody is asked any more about a run that is to be cancelled.
    let waits = row.text("gate")?.as_deref() == Some("waiting") && row.text("cancel_by")?.is_none();
    let question =
        || Ok::<_, R::Error>(ApprovalRequest { seq: count(row, "asked")?, question: text(row, "question")? });
    Ok(Run {
        id: read::<R, _, _>("id", text(row, "id")?.parse())?,
        pipeline: text(row, "pipeline")?,
        status: status(row)?,
        phase: row.text("phase")?,
        attempt: number(row, "attempt")?,
        params: read::<R, _, _>("params", serde_json::from_str(&text(row, "params")?))?,
        priority: number(row, "priority")?,
        created_at: Timestamp(number(row, "created_at")?),
        queued_at: moment(row, "asked_at")?.map_or_else(|| number(row, "created_at").map(Timestamp), Ok)?,
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
        error: row.text("error")?,
        approval: waits.then(question).transpose()?,
        cancel: match row.text("cancel")? {
            Some(cancel) => Some(read::<R, _, _>("cancel", serde_json::from_str(&cancel))?),
            None => None,
        },
        origin: origin(row)?,
        pin: pin(row)?,
    })
}

/// `origin`: attempts of earlier versions have none.
pub fn origin<R: Columns>(row: &R) -> Result<Option<RunOrigin>, R::Error> {
    row.text("origin")?.map(|origin| read::<R, _, _>("origin", serde_json::from_str(&origin))).transpose()
}

/// `pinned` and `pins`.
pub fn pin<R: Columns>(row: &R) -> Result<Pin, R::Error> {
    Ok(Pin { pinned: number::<R, i64>(row, "pinned")? != 0, pins: count(row, "pins")? })
}

/// `seq`, `ts`, `attempt`, `phase`, `kind` and `data`.
pub fn record(row: &SqliteRow) -> Result<FrameRecord, sqlx::Error> {
    Ok(FrameRecord {
        seq: count(row, "seq")?,
        ts: Timestamp(row.try_get("ts")?),
        attempt: row.try_get("attempt")?,
        phase: row.try_get::<Option<&str>, _>("phase")?.map(Arc::from),
        kind: row.try_get::<&str, _>("kind")?.into(),
        data: row.try_get::<&str, _>("data")?.into(),
    })
}
