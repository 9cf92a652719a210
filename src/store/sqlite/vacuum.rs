//! `runtrail vacuum`: writes the whole database anew, without empty pages and what deleted runs have left, while no
//! server uses it.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::free_space::{free_bytes, mebibytes};
use super::lock::Lock;
use super::write::purge;
use super::{AUTO_VACUUM_INCREMENTAL, BUSY_TIMEOUT};
use crate::store::{PurgeStep, RunKey, StoreError, WriteOutcome};

/// The bytes of the database and its log, before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vacuumed {
    pub before: u64,
    pub after: u64,
}

/// Why a database was not vacuumed. Nothing that a reader sees of it has changed.
#[derive(Debug, thiserror::Error)]
pub enum VacuumError {
    #[error("there is no database {}; name its folder with --data-dir, or its file with --database-url", .0.display())]
    NotThere(PathBuf),
    /// The file is no database, or none of this program.
    #[error("{} is no database of runs; nothing was changed", .0.display())]
    NotOurs(PathBuf),
    #[error("a server uses this database; stop it first. A running server gives room back by itself, little by little")]
    InUse,
    #[error("another program has this database open; close it first")]
    Busy,
    /// The new database is written to a temporary file first, and then to its own.
    #[error(
        "there is too little room on the disk of {}: about {} are needed and {} are free. Make room first", .folder.display(), mebibytes(*.needed), mebibytes(*.free)
    )]
    NoRoom {
        folder: PathBuf,
        /// In bytes, as `free`.
        needed: u64,
        free: u64,
    },
    #[error("the disk became full; the database is as it was. Make room first")]
    Full,
    #[error("the database cannot be vacuumed: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<rusqlite::Error> for VacuumError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DiskFull) => Self::Full,
            _ => Self::Failed(error.into()),
        }
    }
}

impl From<StoreError> for VacuumError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Locked(_) => Self::Busy,
            StoreError::Full(_) => Self::Full,
            error => Self::Failed(error.into()),
        }
    }
}

/// Purges deleted runs, writes the database anew without empty pages, and sets it up to give pages back that become
/// empty later. Blocks for as long as that takes.
///
/// # Errors
/// [`VacuumError`].
pub fn vacuum(file: &Path) -> Result<Vacuumed, VacuumError> {
    if !file.is_file() {
        return Err(VacuumError::NotThere(file.to_owned()));
    }
    let lock = Lock::take(file, false).map_err(|error| match error {
        StoreError::InUse => VacuumError::InUse,
        error => VacuumError::Failed(error.into()),
    })?;
    let file = lock.file();
    let before = bytes_of(file);
    // Never created here.
    let mut database = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    database.busy_timeout(BUSY_TIMEOUT)?;
    let ours = database.query_row(
        "SELECT count(*) = 2 FROM sqlite_schema WHERE type = 'table' AND name IN ('runs', 'frames')",
        [],
        |row| row.get(0),
    );
    match ours {
        Ok(true) => {}
        Ok(false) => return Err(VacuumError::NotOurs(file.to_owned())),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            return Err(VacuumError::NotOurs(file.to_owned()));
        }
        Err(error) => return Err(error.into()),
    }
    finish_purge(&mut database)?;
    let number = |pragma: &str| database.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    let full = (number("page_count")? - number("freelist_count")?) * number("page_size")?;
    has_room(file, full.unsigned_abs())?;
    database.pragma_update(None, "auto_vacuum", AUTO_VACUUM_INCREMENTAL)?;
    database.execute_batch("VACUUM")?;
    // Not as a batch: it yields a row, which says whether a reader was in the way.
    let busy = database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))?;
    if busy {
        return Err(VacuumError::Busy);
    }
    database.close().map_err(|(_, error)| VacuumError::from(error))?;
    Ok(Vacuumed { before, after: bytes_of(file) })
}

/// Purges deleted runs, as a server would by and by. Their tombstones stay: the server still has to remove their
/// folders.
fn finish_purge(database: &mut Connection) -> Result<(), VacuumError> {
    let known = "SELECT count(*) FROM pragma_table_info('runs') WHERE name = 'deleted_at'";
    if database.query_row(known, [], |row| row.get::<_, i64>(0))? == 0 {
        // Of a version that deleted none.
        return Ok(());
    }
    // It waits for the disk once, at the end: what a power loss brings back is still marked.
    database.pragma_update(None, "synchronous", "NORMAL")?;
    let deleted: Vec<i64> = {
        let mut deleted = database.prepare("SELECT key FROM runs WHERE deleted_at IS NOT NULL")?;
        deleted.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for run in deleted {
        while let WriteOutcome::Purged { more: true } = purge(database, PurgeStep::Frames(RunKey(run)))? {}
    }
    Ok(database.pragma_update(None, "synchronous", "FULL")?)
}

/// Of the file and its log.
fn bytes_of(file: &Path) -> u64 {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    [file.as_os_str(), &log].iter().filter_map(|file| std::fs::metadata(file).ok()).map(|file| file.len()).sum()
}

/// SQLite writes the new database to a temporary file and from there to the log, before it takes the place of the old
/// one.
fn has_room(file: &Path, needed: u64) -> Result<(), VacuumError> {
    use std::os::unix::fs::MetadataExt;
    let failed = |error: std::io::Error| VacuumError::Failed(error.into());
    let own = file.canonicalize().map_err(failed)?.parent().unwrap_or(Path::new("/")).to_owned();
    let temporary = temporary();
    let device = |folder: &Path| std::fs::metadata(folder).map(|folder| folder.dev()).map_err(failed);
    let places = if device(&own)? == device(&temporary)? {
        vec![(own, needed * 2)]
    } else {
        vec![(own, needed), (temporary, needed)]
    };
    for (folder, needed) in places {
        let free = free_bytes(&folder).map_err(|error| failed(error.into()))?;
        if free < needed {
            return Err(VacuumError::NoRoom { folder, needed, free });
        }
    }
    Ok(())
}

/// Where SQLite has its temporary files (sqlite.org/tempfiles.html, 5).
fn temporary() -> PathBuf {
    let named = ["SQLITE_TMPDIR", "TMPDIR"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    let usual = ["/var/tmp", "/usr/tmp", "/tmp"].into_iter().map(PathBuf::from);
    let usable = |folder: &PathBuf| {
        use nix::unistd::{AccessFlags, access};
        folder.is_dir() && access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
    };
    named.chain(usual).find(usable).unwrap_or_else(|| PathBuf::from("."))
}
