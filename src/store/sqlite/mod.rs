//! The store on SQLite: one file, one writing connection, a few reading ones.
//!
//! WAL, so that readers and the writer do not wait for each other; reads are short, since a long one stops the log from
//! shrinking. `synchronous=FULL`: what was committed survives a power loss.

mod access;
mod attempts;
mod audit;
#[cfg(test)]
mod by_hand;
mod clear;
mod commit;
mod create;
mod fault;
mod list;
mod lock;
mod outbox;
mod pages;
#[cfg(test)]
mod plans;
mod queue;
mod read;
mod reserve;
mod retention;
mod review;
mod rows;
mod secrets;
mod triggers;
mod vacuum;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sqlx::migrate::MigrateError;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
};
use sqlx::{ConnectOptions, Connection};

use super::StoreError;
use fault::{classify, classify_open};
use lock::Lock;
use reserve::Reserve;

pub use vacuum::{VacuumError, Vacuumed, vacuum};

/// How long a statement waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a transaction of the writer does: it comes again by itself, and who asked it may want an answer before.
const WRITE_BUSY_TIMEOUT: Duration = Duration::from_millis(500);

/// How many reads run at once. Reads are short and mostly from the page cache; more would only wait for a core.
const READERS: u32 = 4;

/// After a checkpoint the log is cut back to this many bytes; between them it may grow.
const JOURNAL_SIZE_LIMIT: u32 = 64 << 20;

/// How long to wait before a database that could not be opened is tried again.
const OPEN_AGAIN: Duration = Duration::from_millis(500);

/// How often the log tells of a database that cannot be opened.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// What `PRAGMA auto_vacuum` says of a database that gives back what is empty when it is asked to.
const INCREMENTAL: i64 = 2;

/// What a commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// kill -9 and power loss.
    #[default]
    Full,
    /// kill -9; a power loss may take the last commits back.
    Normal,
}

impl Durability {
    const fn synchronous(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
        }
    }
}

/// The store on SQLite.
pub struct SqliteStore {
    reads: SqlitePool,
    /// The one writing connection. Held for one transaction; only the journal's writer asks for it, so nobody waits.
    write: Arc<Mutex<rusqlite::Connection>>,
    file: PathBuf,
    reserve: Arc<Reserve>,
    /// Locked as long as this store is there, by whatever end.
    _lock: Lock,
}

impl SqliteStore {
    /// Opens or creates the file and brings its tables up to date.
    ///
    /// # Errors
    /// The file cannot be opened or made, is no database, or is of a newer version.
    pub async fn open(path: &Path, durability: Durability) -> Result<Self, StoreError> {
        Self::with(SqliteConnectOptions::new().filename(path), durability).await
    }

    /// Like [`Self::open`], for an address such as `sqlite:///var/lib/runtrail/runtrail.db`.
    ///
    /// # Errors
    /// As [`Self::open`], and the address is none.
    pub async fn open_url(url: &str, durability: Durability) -> Result<Self, StoreError> {
        Self::with(SqliteConnectOptions::from_str(url).map_err(classify)?, durability).await
    }

    /// The file that an address such as `sqlite:///var/lib/runtrail/runtrail.db` names.
    ///
    /// # Errors
    /// The address is none.
    pub fn file_of(url: &str) -> Result<PathBuf, StoreError> {
        Ok(SqliteConnectOptions::from_str(url).map_err(classify)?.get_filename().to_owned())
    }

    async fn with(options: SqliteConnectOptions, durability: Durability) -> Result<Self, StoreError> {
        let options = options
            .create_if_missing(true)
            // Only of a new file; an older one learns it by `runtrail vacuum`.
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            .pragma("synchronous", durability.synchronous())
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("journal_size_limit", JOURNAL_SIZE_LIMIT.to_string())
            .disable_statement_logging();
        let given = options.get_filename().to_owned();
        let lock = tokio::task::spawn_blocking(move || Lock::take(&given, true)).await;
        let lock = lock.map_err(|error| StoreError::Failed(Arc::new(error)))??;
        let options = options.filename(lock.file());
        let (reads, write) = when_it_can(options.get_filename(), || connect(&options, durability)).await?;
        let file = options.get_filename().to_owned();
        let beside = file.clone();
        let reserve = tokio::task::spawn_blocking(move || Reserve::open(&beside)).await;
        let reserve = Arc::new(reserve.map_err(|error| StoreError::Failed(Arc::new(error)))?);
        Ok(Self { reads, write: Arc::new(Mutex::new(write)), file, reserve, _lock: lock })
    }
}

/// Brings the tables up to date, and opens the connections: those that read, and the one that writes.
async fn connect(
    options: &SqliteConnectOptions,
    durability: Durability,
) -> Result<(SqlitePool, rusqlite::Connection), StoreError> {
    let mut migrate = SqliteConnection::connect_with(options).await.map_err(classify)?;
    let migrated = sqlx::migrate!("migrations/sqlite").run_direct(None, &mut migrate, false).await;
    migrated.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => classify(error),
        error => StoreError::Failed(Arc::new(error)),
    })?;
    // Before it is closed there is another, so the log stays.
    let mut write = writing(options.get_filename(), durability).map_err(classify_open)?;
    // A server that was killed may have left secrets in it.
    secrets::try_cut(&mut write);
    migrate.close().await.map_err(classify)?;
    let reads = SqlitePoolOptions::new()
        .max_connections(READERS)
        // Opened once: later there may be no descriptor for another one.
        .min_connections(READERS)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(BUSY_TIMEOUT)
        .connect_with(options.clone().pragma("query_only", "ON"))
        .await
        .map_err(classify)?;
    Ok((reads, write))
}

/// Opens a database as soon as no other program has it locked, such as a backup, and there is room on its disk.
async fn when_it_can<T, F>(file: &Path, open: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut told = None;
    loop {
        let error = match open().await {
            Err(error @ (StoreError::Locked(_) | StoreError::Full(_))) => error,
            opened => return opened,
        };
        if told.is_none_or(|told: Instant| told.elapsed() >= TELL_AGAIN) {
            told = Some(Instant::now());
            tracing::warn!(file = %file.display(), %error, "the server starts as soon as its database can be opened");
        }
        tokio::time::sleep(OPEN_AGAIN).await;
    }
}

/// The connection that writes; see [`commit`].
fn writing(file: &Path, durability: Durability) -> rusqlite::Result<rusqlite::Connection> {
    let connection = rusqlite::Connection::open(file)?;
    connection.busy_timeout(WRITE_BUSY_TIMEOUT)?;
    // A temporary file would need a descriptor, and room on another disk.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "synchronous", durability.synchronous())?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_SIZE_LIMIT)?;
    // What is taken out of a page that is written anyway is overwritten there: it may be a secret.
    connection.pragma_update(None, "secure_delete", "FAST")?;
    // Every statement of this program's; each stays prepared.
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Runs a read to its end whether or not its caller goes on asking for it. A stream stops wherever its client stops
/// reading, and a read that stopped with it would keep one of the few connections from everybody else.
async fn detached<T: Send + 'static>(
    read: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::spawn(read).await.unwrap_or_else(|error| Err(StoreError::Failed(Arc::new(error))))
}
