//! The driver for PostgreSQL: a server that several instances share. docs/design/scale.md says why it is as it is.
//!
//! One connection writes, a pool reads, one connection notifies other instances and one listens to them. Every
//! statement is short, and no transaction stays open while it waits for something else than the database.

mod clock;
mod connect;
mod dialect;
mod fault;
mod listen;
mod notify;
mod read;
mod transaction;
mod value;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::Row as _;
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::notices::Notices;
use super::{StoreCommand, StoreError, WriteOutcome};
use crate::model::{DatabaseSize, Timestamp};
use clock::ServerClock;
pub use connect::{PostgresError, PostgresOptions};
use fault::classify;
pub use read::PostgresSnapshot;
use writer::Writer;

/// How long a read waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// A database on a PostgreSQL server.
pub struct PostgresDatabase {
    reads: PgPool,
    writer: Writer,
    clock: Arc<ServerClock>,
    /// What other instances commit, until the journal takes it.
    notices: Mutex<Option<mpsc::Receiver<Notices>>>,
    /// Tell other instances what this one commits, and hear of what they do.
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl PostgresDatabase {
    /// Connects to a server and migrates the database to this version's schema.
    ///
    /// # Errors
    /// [`StoreError::Failed`] with a [`PostgresError`].
    pub async fn open(options: &PostgresOptions) -> Result<Self, StoreError> {
        let instance = writer::random();
        let (connect, clock) = connect::prepare(options, instance).await?;
        let clock = Arc::new(clock);
        let reads = PgPoolOptions::new()
            .max_connections(options.max_read_connections.get())
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(connect.clone());
        let (committed, to_send) = mpsc::unbounded_channel();
        let (received, notices) = mpsc::channel(listen::MAX_WAITING_NOTICES);
        let listener = listen::Listener::start(connect.clone(), instance, received, Arc::clone(&clock));
        let listener = listener.await.map_err(classify)?;
        Ok(Self {
            reads,
            writer: Writer::new(connect.clone(), instance, committed),
            clock,
            notices: Mutex::new(Some(notices)),
            _tasks: [
                AbortOnDropHandle::new(tokio::spawn(notify::run(connect, instance, to_send))),
                AbortOnDropHandle::new(tokio::spawn(listener.run())),
            ],
        })
    }

    /// A connection to read from with single statements.
    pub async fn single(&self) -> Result<PostgresSnapshot, StoreError> {
        self.reads.acquire().await.map(PostgresSnapshot::Single).map_err(classify)
    }

    /// A connection on which several statements see the same state.
    pub async fn snapshot(&self) -> Result<PostgresSnapshot, StoreError> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        self.reads.begin_with(begin).await.map(PostgresSnapshot::Transaction).map_err(classify)
    }

    /// Carries out commands in order, in one durable transaction. Nothing is written if it fails.
    pub async fn commit(&self, commands: &[StoreCommand]) -> Result<Vec<WriteOutcome>, StoreError> {
        self.writer.commit(commands).await
    }

    /// What other instances commit. `None` if it was taken before.
    pub fn take_notices(&self) -> Option<mpsc::Receiver<Notices>> {
        self.notices.lock().take()
    }

    /// The server's time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How large the database is.
    pub async fn size(&self) -> Result<DatabaseSize, StoreError> {
        let size = sqlx::query("SELECT pg_database_size(current_database()) AS bytes").fetch_one(&self.reads).await;
        let bytes: i64 = size.and_then(|row| row.try_get("bytes")).map_err(classify)?;
        // The server's log and its free pages concern all of its databases.
        Ok(DatabaseSize { bytes: bytes.unsigned_abs(), wal_bytes: 0, free_bytes: 0 })
    }
}
