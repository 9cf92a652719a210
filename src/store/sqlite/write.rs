//! Writes: one `BEGIN IMMEDIATE` transaction for all that the journal's writer has collected.
//!
//! By rusqlite, and reads by sqlx: sqlx hands each statement to a thread and waits for it, four times a commit at
//! least. On an idle machine waking a thread takes longer than what it then does, and a commit is what every reader
//! waits for. Here a whole transaction is handed over once.

use futures::FutureExt;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql, params};

use super::fault::classify_write;
use super::free_pages::give_pages_back;
use crate::model::FrameRecord;
use crate::store::commands::apply_all;
use crate::store::row::Row;
use crate::store::statement::{Query, Statement, Value};
use crate::store::transaction::{ReadSnapshot, Transaction};
use crate::store::{PurgeStep, RowError, RunKey, StoreCommand, StoreError, WriteOutcome};

/// A frame, its values in this order: the only statement that is bound by position, since it is the hot one.
const INSERT_FRAME: &str =
    "INSERT INTO frames (run, seq, ts, attempt, phase, kind, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// A row of a log was redrawn by the frame with this seq.
const RECORD_REDRAW: &str = "INSERT INTO redraws (run, row, seq) VALUES (?1, ?2, ?3)
     ON CONFLICT (run, row) DO UPDATE SET seq = excluded.seq";

/// A transaction of the writer. Dropped before its commit, it is rolled back.
pub struct SqliteTransaction<'c> {
    connection: &'c mut Connection,
    has_erased_secrets: bool,
}

/// Carries out commands in one transaction. Returns what became of each, and whether secrets were erased.
///
/// # Errors
/// The database failed, and nothing was written.
pub fn transact(
    connection: &mut Connection,
    commands: &[StoreCommand],
) -> Result<(Vec<WriteOutcome>, bool), StoreError> {
    let mut tx = SqliteTransaction::begin(connection)?;
    // SQLite answers at once, so a future over this transaction never waits.
    let outcomes = match apply_all(commands, &mut tx).now_or_never() {
        Some(outcomes) => outcomes?,
        None => unreachable!("a command waits for something else than its transaction"),
    };
    let has_erased_secrets = tx.has_erased_secrets;
    tx.commit()?;
    Ok((outcomes, has_erased_secrets))
}

/// Carries out one step of a purge in a transaction of its own.
///
/// # Errors
/// The database failed, and nothing was written.
pub fn purge(connection: &mut Connection, step: PurgeStep) -> Result<WriteOutcome, StoreError> {
    let mut tx = SqliteTransaction::begin(connection)?;
    let outcome = match step.apply(&mut tx).now_or_never() {
        Some(outcome) => outcome?,
        None => unreachable!("a command waits for something else than its transaction"),
    };
    tx.commit()?;
    Ok(outcome)
}

impl<'c> SqliteTransaction<'c> {
    fn begin(connection: &'c mut Connection) -> Result<Self, StoreError> {
        match connection.execute_batch("BEGIN IMMEDIATE") {
            Ok(()) => Ok(Self { connection, has_erased_secrets: false }),
            Err(error) => Err(classify_write(connection, error)),
        }
    }

    fn commit(self) -> Result<(), StoreError> {
        self.connection.execute_batch("COMMIT").map_err(|error| self.fault(error))
    }

    fn fault(&self, error: rusqlite::Error) -> StoreError {
        classify_write(self.connection, error)
    }

    /// The prepared statement with its values.
    fn bound(&self, statement: &Statement<'_>) -> rusqlite::Result<CachedStatement<'_>> {
        let mut prepared = self.connection.prepare_cached(&statement.sql)?;
        for index in 1..=prepared.parameter_count() {
            // SQLite numbers placeholders in order of appearance; the text numbers them by their values.
            let number = prepared.parameter_name(index).and_then(|name| name[1..].parse::<usize>().ok());
            let value = number.and_then(|number| statement.values.get(number - 1));
            let missing = || rusqlite::Error::InvalidParameterCount(index, statement.values.len());
            prepared.raw_bind_parameter(index, value.ok_or_else(missing)?)?;
        }
        Ok(prepared)
    }

    fn rows<T>(&self, query: Query<'_, T>, mut go_on: impl FnMut(&T) -> bool) -> Result<Vec<T>, StoreError> {
        let mut statement = self.bound(&query.statement).map_err(|error| self.fault(error))?;
        let mut rows = statement.raw_query();
        let mut values = Vec::new();
        while let Some(row) = rows.next().map_err(|error| self.fault(error))? {
            let value = (query.read)(row)?;
            let is_last = !go_on(&value);
            values.push(value);
            if is_last {
                break;
            }
        }
        Ok(values)
    }

    fn put_frames(&self, journals: &[(RunKey, &[FrameRecord])]) -> rusqlite::Result<()> {
        let mut insert = self.connection.prepare_cached(INSERT_FRAME)?;
        let mut redraw = self.connection.prepare_cached(RECORD_REDRAW)?;
        let signed = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
        for (run, frames) in journals {
            for frame in *frames {
                insert.execute(params![
                    run.0,
                    signed(frame.seq),
                    frame.ts.0,
                    frame.attempt,
                    frame.phase.as_deref(),
                    frame.kind.as_ref(),
                    frame.data.as_ref()
                ])?;
                if let Some(row) = frame.replaces() {
                    redraw.execute(params![run.0, signed(row), signed(frame.seq)])?;
                }
            }
        }
        Ok(())
    }

    /// Overwrites a run's secrets in their place, and then takes them away. Returns how many there were.
    fn overwrite_secrets(&self, run: RunKey) -> rusqlite::Result<usize> {
        // Of the same size, so it takes the same bytes.
        let overwrite = "UPDATE run_secrets SET value = zeroblob(length(value)) WHERE run = ?1 AND value IS NOT NULL";
        let erased = self.connection.prepare_cached(overwrite)?.execute([run.0])?;
        if erased > 0 {
            let remove = "UPDATE run_secrets SET value = NULL WHERE run = ?1 AND value IS NOT NULL";
            self.connection.prepare_cached(remove)?.execute([run.0])?;
        }
        Ok(erased)
    }
}

impl Drop for SqliteTransaction<'_> {
    fn drop(&mut self) {
        // A commit that succeeded has ended it, and so have some errors.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "a transaction could not be rolled back");
        }
    }
}

impl ReadSnapshot for SqliteTransaction<'_> {
    async fn fetch_while<T: Send>(
        &mut self,
        query: Query<'_, T>,
        go_on: impl FnMut(&T) -> bool + Send,
    ) -> Result<Vec<T>, StoreError> {
        self.rows(query, go_on)
    }

    async fn fetch_optional<T: Send>(&mut self, query: Query<'_, T>) -> Result<Option<T>, StoreError> {
        Ok(self.rows(query, |_| false)?.pop())
    }
}

impl Transaction for SqliteTransaction<'_> {
    async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, StoreError> {
        let changed = self.bound(&statement).and_then(|mut prepared| prepared.raw_execute());
        changed.map(|rows| rows as u64).map_err(|error| self.fault(error))
    }

    async fn insert_frames(&mut self, journals: &[(RunKey, &[FrameRecord])]) -> Result<(), StoreError> {
        self.put_frames(journals).map_err(|error| self.fault(error))
    }

    async fn erase_secrets(&mut self, run: RunKey) -> Result<(), StoreError> {
        let erased = self.overwrite_secrets(run).map_err(|error| self.fault(error))?;
        self.has_erased_secrets |= erased > 0;
        Ok(())
    }

    async fn vacuum_pages(&mut self) -> Result<bool, StoreError> {
        give_pages_back(self.connection).map_err(|error| self.fault(error))
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Row for rusqlite::Row<'_> {
    fn text(&self, column: &str) -> Result<Option<&str>, RowError> {
        let value = self.get_ref(column).map_err(|error| RowError::new(column, error))?;
        value.as_str_or_null().map_err(|error| RowError::new(column, error))
    }

    fn integer(&self, column: &str) -> Result<Option<i64>, RowError> {
        let value = self.get_ref(column).map_err(|error| RowError::new(column, error))?;
        value.as_i64_or_null().map_err(|error| RowError::new(column, error))
    }

    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, RowError> {
        let value = self.get_ref(column).map_err(|error| RowError::new(column, error))?;
        value.as_blob_or_null().map_err(|error| RowError::new(column, error))
    }

    fn is_null(&self, column: &str) -> Result<bool, RowError> {
        Ok(self.get_ref(column).map_err(|error| RowError::new(column, error))? == ValueRef::Null)
    }
}
