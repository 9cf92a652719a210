//! The driver for SQLite: one file, one connection that writes, a few that read.
//!
//! WAL, so that readers and the writer do not wait for each other; reads are short, since a long one stops the log from
//! shrinking. `synchronous=FULL`: what was committed survives a power loss.

mod backup;
mod erased;
mod fault;
#[cfg(test)]
pub mod fixtures;
mod free_pages;
mod free_space;
mod lock;
#[cfg(test)]
mod plans;
mod read;
mod reserve;
#[cfg(test)]
mod tests;
mod vacuum;
mod write;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
};
use sqlx::{ConnectOptions, Connection, Row as _};

use super::{StoreCommand, StoreError, WriteOutcome};
use crate::model::DatabaseSize;
use fault::{classify, classify_open};
use lock::Lock;

pub use read::SqliteSnapshot;
use reserve::Reserve;

pub use backup::{Attachment, BackupError, DatabaseContents, RestoreError, Restored, backup, restore};
pub use vacuum::{VacuumError, Vacuumed, vacuum};

/// The files of migrations/sqlite. A database knows which of them it has had.
static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a statement waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a transaction of the writer does: the writer repeats it, and who asked for it may want an answer before.
const WRITE_BUSY_TIMEOUT: Duration = Duration::from_millis(500);

/// How many reads run at once. Reads are short and mostly from the page cache; more would only wait for a core.
const READERS: u32 = 4;

/// After a checkpoint the log is cut back to this many bytes; between them it may grow.
const JOURNAL_SIZE_LIMIT: u32 = 64 << 20;

/// The wait before opening a database again that could not be opened.
const REOPEN_INTERVAL: Duration = Duration::from_millis(500);

/// How often the log says that a database cannot be opened.
const WARN_INTERVAL: Duration = Duration::from_secs(30);

/// What `PRAGMA auto_vacuum` says of a database that gives empty pages back when it is asked to.
const AUTO_VACUUM_INCREMENTAL: i64 = 2;

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

/// A database in a SQLite file.
pub struct SqliteDatabase {
    reads: SqlitePool,
    /// The one connection that writes. Held for one transaction; only the journal's writer uses it, so nobody waits.
    write: Arc<Mutex<rusqlite::Connection>>,
    file: PathBuf,
    reserve: Arc<Reserve>,
    /// Locks the file against other servers as long as this lives.
    _lock: Lock,
}

impl SqliteDatabase {
    /// Opens or creates the file and migrates it to this version's schema.
    pub async fn open(path: &Path, durability: Durability) -> Result<Self, StoreError> {
        Self::with(SqliteConnectOptions::new().filename(path), durability).await
    }

    /// Like [`Self::open`], for an address such as `sqlite:///var/lib/runtrail/runtrail.db`.
    pub async fn open_url(url: &str, durability: Durability) -> Result<Self, StoreError> {
        Self::with(SqliteConnectOptions::from_str(url).map_err(classify)?, durability).await
    }

    async fn with(options: SqliteConnectOptions, durability: Durability) -> Result<Self, StoreError> {
        let options = options
            .create_if_missing(true)
            // Of a new file only; `runtrail vacuum` sets it for an older one.
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
        let (reads, write) = open_when_possible(options.get_filename(), || connect(&options, durability)).await?;
        let file = options.get_filename().to_owned();
        let beside = file.clone();
        let reserve = tokio::task::spawn_blocking(move || Reserve::open(&beside)).await;
        let reserve = Arc::new(reserve.map_err(|error| StoreError::Failed(Arc::new(error)))?);
        Ok(Self { reads, write: Arc::new(Mutex::new(write)), file, reserve, _lock: lock })
    }

    /// A connection to read from with single statements.
    pub async fn single(&self) -> Result<SqliteSnapshot, StoreError> {
        self.reads.acquire().await.map(SqliteSnapshot::Single).map_err(classify)
    }

    /// A connection on which several statements see the same state.
    pub async fn snapshot(&self) -> Result<SqliteSnapshot, StoreError> {
        self.reads.begin().await.map(SqliteSnapshot::Transaction).map_err(classify)
    }

    /// Carries out commands in order, in one durable transaction. Nothing is written if it fails.
    pub async fn commit(&self, commands: &[StoreCommand]) -> Result<Vec<WriteOutcome>, StoreError> {
        let (connection, commands) = (Arc::clone(&self.write), commands.to_vec());
        let committed = tokio::task::spawn_blocking(move || {
            // A panic in here rolled its transaction back when it passed.
            let mut held = connection.lock();
            let done = write::transact(&mut held, &commands);
            drop(held);
            done.map(|(outcomes, has_erased_secrets)| {
                if has_erased_secrets {
                    erased::cut_log(&connection);
                }
                outcomes
            })
        });
        committed.await.unwrap_or_else(|error| Err(StoreError::Failed(Arc::new(error))))
    }

    /// Frees the space that is reserved for a full disk. Returns whether there was any.
    pub async fn release_reserve(&self) -> bool {
        let reserve = Arc::clone(&self.reserve);
        tokio::task::spawn_blocking(move || reserve.release()).await.unwrap_or(false)
    }

    /// Reserves space for a full disk again, if the disk has it: more than was freed, if output waits for space.
    /// Returns whether it is reserved.
    pub async fn restore_reserve(&self, does_output_wait: bool) -> bool {
        let reserve = Arc::clone(&self.reserve);
        tokio::task::spawn_blocking(move || reserve.restore(does_output_wait)).await.unwrap_or(false)
    }

    /// How large the database is. Costs the same whatever it holds.
    pub async fn size(&self) -> Result<DatabaseSize, StoreError> {
        let row = sqlx::query(
            "SELECT page_count * page_size AS bytes, freelist_count * page_size AS free_bytes
             FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
        )
        .fetch_one(&self.reads)
        .await
        .map_err(classify)?;
        let bytes = |column: &str| row.try_get::<i64, _>(column).map(i64::unsigned_abs).map_err(classify);
        let (bytes, free_bytes) = (bytes("bytes")?, bytes("free_bytes")?);
        let mut log = self.file.as_os_str().to_owned();
        log.push("-wal");
        // None is as good as an empty one.
        let wal_bytes = tokio::fs::metadata(log).await.map_or(0, |log| log.len());
        Ok(DatabaseSize { bytes, wal_bytes, free_bytes })
    }
}

/// The file that an address such as `sqlite:///var/lib/runtrail/runtrail.db` names.
///
/// # Errors
/// [`StoreError::Failed`] if the address is none.
pub fn file_of_url(url: &str) -> Result<PathBuf, StoreError> {
    Ok(SqliteConnectOptions::from_str(url).map_err(classify)?.get_filename().to_owned())
}

/// Migrates the database and opens the connections: those that read, and the one that writes.
async fn connect(
    options: &SqliteConnectOptions,
    durability: Durability,
) -> Result<(SqlitePool, rusqlite::Connection), StoreError> {
    let mut migrate = SqliteConnection::connect_with(options).await.map_err(classify)?;
    let migrated = MIGRATIONS.run_direct(None, &mut migrate, false).await;
    migrated.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => classify(error),
        error => StoreError::Failed(Arc::new(error)),
    })?;
    // Opened before the other is closed, so that the log stays.
    let mut write = writing(options.get_filename(), durability).map_err(classify_open)?;
    // A server that was killed may have left secrets in it.
    erased::try_cut(&mut write);
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

/// Opens a database as soon as no other program, such as a backup, has it locked and its disk is not full.
async fn open_when_possible<T, F>(file: &Path, open: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut warned = None;
    loop {
        let error = match open().await {
            Err(error @ (StoreError::Locked(_) | StoreError::Full(_))) => error,
            opened => return opened,
        };
        if warned.is_none_or(|warned: Instant| warned.elapsed() >= WARN_INTERVAL) {
            warned = Some(Instant::now());
            tracing::warn!(file = %file.display(), %error, "the server starts as soon as its database can be opened");
        }
        tokio::time::sleep(REOPEN_INTERVAL).await;
    }
}

/// The connection that writes; see [`write`].
fn writing(file: &Path, durability: Durability) -> rusqlite::Result<rusqlite::Connection> {
    let connection = rusqlite::Connection::open(file)?;
    connection.busy_timeout(WRITE_BUSY_TIMEOUT)?;
    // A temporary file would need a descriptor, and room on another disk.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "synchronous", durability.synchronous())?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_SIZE_LIMIT)?;
    // What is removed from a page that is written anyway is overwritten there: it may be a secret.
    connection.pragma_update(None, "secure_delete", "FAST")?;
    // Every statement of the commands stays prepared.
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}
