//! Writes: one transaction for all that the journal's writer has collected, on a connection of its own.
//!
//! Other instances write at the same time, so three things differ from SQLite:
//!
//! - The rows of the runs that a transaction changes are locked first, in the order of their keys. So preconditions
//!   hold until the commit, and two transactions cannot wait for each other's runs.
//! - A transaction that another one was in the way of is repeated: it has changed nothing, and its preconditions are
//!   checked again.
//! - If the connection is lost during the commit, it is not known whether the commit was made. Each transaction adds a
//!   row with a random id to `commits`, and holds a lock of this instance until it ends: a new connection takes the
//!   lock, and then the row is there or it is not.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor, Row as _};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use super::fault::{Fault, classify};
use super::transaction::PostgresTransaction;
use crate::store::commands::apply_all;
use crate::store::notices::RunNotice;
use crate::store::{StoreCommand, StoreError, WriteOutcome};

/// How often a transaction is repeated that others are in the way of.
const MAX_REPEATS: u32 = 20;

/// The longest wait before a transaction is repeated.
const MAX_REPEAT_WAIT: Duration = Duration::from_millis(20);

/// How long opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a transaction may take. After that the connection counts as lost.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(20);

/// The wait between two attempts to find out whether a commit was made.
const RESOLVE_INTERVAL: Duration = Duration::from_millis(250);

/// The one that writes.
pub struct Writer {
    options: PgConnectOptions,
    /// A random number that names this instance: the key of its lock, and the sender of its notices.
    instance: i64,
    held: Mutex<Held>,
    /// What was committed, for the task that notifies other instances.
    notices: mpsc::UnboundedSender<Vec<RunNotice>>,
}

/// The connection that writes.
#[derive(Default)]
struct Held {
    connection: Option<PgConnection>,
    /// The server's process of the connection.
    process: i32,
    /// The process of a connection that was lost. It may still be at work, and holds this instance's lock until it
    /// ends.
    lost_process: Option<i32>,
}

/// What a transaction has written.
struct Written {
    outcomes: Vec<WriteOutcome>,
    notices: Vec<RunNotice>,
}

/// A transaction that did not end well.
enum Failure {
    /// It was rolled back.
    RolledBack(StoreError, Fault),
    /// The connection was lost during its commit. It was made if the row with this id is there.
    InDoubt { commit: i64, written: Written, error: StoreError },
}

impl Writer {
    pub fn new(options: PgConnectOptions, instance: i64, notices: mpsc::UnboundedSender<Vec<RunNotice>>) -> Self {
        Self { options, instance, held: Mutex::default(), notices }
    }

    /// Carries out commands in order, in one durable transaction. Nothing is written if it fails.
    pub async fn commit(&self, commands: &[StoreCommand]) -> Result<Vec<WriteOutcome>, StoreError> {
        let mut held = self.held.lock().await;
        let mut repeats = 0;
        let Written { outcomes, notices } = loop {
            match self.attempt(&mut held, commands).await {
                Ok(written) => break written,
                Err(Failure::RolledBack(_, Fault::Conflict)) if repeats < MAX_REPEATS => {
                    repeats += 1;
                    tokio::time::sleep(repeat_wait(repeats)).await;
                }
                // A row with the same unique value stays there, so the transaction fails again.
                Err(Failure::RolledBack(StoreError::Unavailable(error), Fault::Conflict))
                    if is_unique_violation(&error) =>
                {
                    return Err(StoreError::Failed(error));
                }
                Err(Failure::RolledBack(error, _)) => return Err(error),
                Err(Failure::InDoubt { commit, written, error }) => {
                    tracing::warn!(%error, "the connection was lost during a commit; asking the database for its outcome");
                    if self.resolve(&mut held, commit).await {
                        break written;
                    }
                    return Err(error);
                }
            }
        };
        if !notices.is_empty() {
            // The task that notifies ends with the store.
            let _ = self.notices.send(notices);
        }
        Ok(outcomes)
    }

    async fn attempt(&self, held: &mut Held, commands: &[StoreCommand]) -> Result<Written, Failure> {
        if held.connection.is_none() {
            self.connect(held).await.map_err(|error| {
                let fault = Fault::of(&error);
                Failure::RolledBack(classify(error), fault)
            })?;
        }
        let Some(connection) = held.connection.as_mut() else { unreachable!("it was opened above") };
        let commit = random();
        let writing = timeout(TRANSACTION_TIMEOUT, self.write(connection, commit, commands)).await;
        let failure = match writing.unwrap_or_else(|_| Err(classify(slow()))) {
            Ok(written) => {
                let committing = timeout(TRANSACTION_TIMEOUT, connection.execute("COMMIT")).await;
                match committing.unwrap_or_else(|_| Err(slow())) {
                    Ok(_) => return Ok(written),
                    Err(error) if Fault::of(&error) != Fault::Disconnected => classify(error),
                    Err(error) => {
                        self.lose(held);
                        return Err(Failure::InDoubt { commit, written, error: classify(error) });
                    }
                }
            }
            Err(error) => error,
        };
        let fault = fault_of(&failure);
        let has_ended = match fault {
            Fault::Disconnected => false,
            _ => matches!(timeout(CONNECT_TIMEOUT, connection.execute("ROLLBACK")).await, Ok(Ok(_))),
        };
        if !has_ended {
            self.lose(held);
        }
        Err(Failure::RolledBack(failure, fault))
    }

    /// The transaction, up to its commit.
    async fn write(
        &self,
        connection: &mut PgConnection,
        commit: i64,
        commands: &[StoreCommand],
    ) -> Result<Written, StoreError> {
        let begin = format!("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({})", self.instance);
        connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(begin))).await.map_err(classify)?;
        let mut runs: Vec<i64> = commands.iter().filter_map(|command| command.run().map(|run| run.0)).collect();
        runs.sort_unstable();
        runs.dedup();
        if !runs.is_empty() {
            let lock = sqlx::query("SELECT 1 FROM runs WHERE key = ANY($1) ORDER BY key FOR UPDATE").bind(runs);
            lock.execute(&mut *connection).await.map_err(classify)?;
        }
        let outcomes = apply_all(commands, &mut PostgresTransaction::new(connection)).await?;
        let notices = RunNotice::of_commit(commands, &outcomes);
        let record = sqlx::query(
            "INSERT INTO commits (id, xid, at, instance, changes)
             VALUES ($1, CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT),
                CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT), $2, $3)",
        );
        let record = record.bind(commit).bind(self.instance).bind(RunNotice::to_text(&notices));
        record.execute(connection).await.map_err(classify)?;
        Ok(Written { outcomes, notices })
    }

    async fn connect(&self, held: &mut Held) -> Result<(), sqlx::Error> {
        let opening = async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            if let Some(lost) = held.lost_process {
                // Its name, since the system may have given the number to another process.
                let end = sqlx::query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE pid = $1 AND application_name = current_setting('application_name')",
                );
                end.bind(lost).execute(&mut connection).await?;
            }
            let process: i32 = sqlx::query("SELECT pg_backend_pid()").fetch_one(&mut connection).await?.try_get(0)?;
            Ok((connection, process))
        };
        let (connection, process) = timeout(CONNECT_TIMEOUT, opening).await.unwrap_or_else(|_| Err(slow()))?;
        *held = Held { connection: Some(connection), process, lost_process: None };
        Ok(())
    }

    /// The connection is of no use any more.
    fn lose(&self, held: &mut Held) {
        if held.connection.take().is_some() {
            held.lost_process = Some(held.process);
        }
    }

    /// Whether a commit was made whose answer was lost. Waits until the database can say so: nothing else may be
    /// written before.
    async fn resolve(&self, held: &mut Held, commit: i64) -> bool {
        loop {
            match self.find(held, commit).await {
                Ok(is_there) => return is_there,
                Err(error) => {
                    tracing::debug!(%error, "it is not known yet whether a commit was made");
                    self.lose(held);
                    tokio::time::sleep(RESOLVE_INTERVAL).await;
                }
            }
        }
    }

    async fn find(&self, held: &mut Held, commit: i64) -> Result<bool, sqlx::Error> {
        if held.connection.is_none() {
            self.connect(held).await?;
        }
        let Some(connection) = held.connection.as_mut() else { unreachable!("it was opened above") };
        let finding = async {
            // Waits for the end of the lost transaction.
            let lock = sqlx::query("SELECT pg_advisory_lock($1)").bind(self.instance);
            lock.execute(&mut *connection).await?;
            let found = sqlx::query("SELECT 1 FROM commits WHERE id = $1").bind(commit);
            let found = found.fetch_optional(&mut *connection).await?;
            sqlx::query("SELECT pg_advisory_unlock($1)").bind(self.instance).execute(&mut *connection).await?;
            Ok(found.is_some())
        };
        timeout(TRANSACTION_TIMEOUT, finding).await.unwrap_or_else(|_| Err(slow()))
    }
}

/// The wait before a transaction is repeated: random, so that those which were in each other's way are not again.
fn repeat_wait(repeats: u32) -> Duration {
    let most = MAX_REPEAT_WAIT.min(Duration::from_millis(1) * repeats);
    most.mul_f64((random() & 0xffff) as f64 / 65536.0)
}

/// A random number that is not negative.
///
/// # Panics
/// The system has no random numbers, so that no program works.
pub fn random() -> i64 {
    let number = getrandom::u64().unwrap_or_else(|error| panic!("the system has no random numbers: {error}"));
    i64::try_from(number >> 1).unwrap_or(i64::MAX)
}

fn slow() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the database server does not answer"))
}

fn is_unique_violation(error: &Arc<dyn std::error::Error + Send + Sync>) -> bool {
    let error = error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    error.is_some_and(|error| error.is_unique_violation())
}

/// What the error of a command waits for.
fn fault_of(error: &StoreError) -> Fault {
    match error {
        StoreError::Unavailable(source) | StoreError::Full(source) | StoreError::Failed(source) => {
            source.downcast_ref::<sqlx::Error>().map_or(Fault::Permanent, Fault::of)
        }
        StoreError::Locked(_) | StoreError::InUse | StoreError::Gone => Fault::Permanent,
    }
}
