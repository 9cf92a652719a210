//! Why a backup was not written or not restored. Each message names what is wrong and what to do.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

use super::check::Flaw;
use crate::store::sqlite::free_space::mebibytes;

/// Why there is no backup. The file that was to be written is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("there is no database {}; name its folder with --data-dir, or its file with --database-url", .0.display())]
    NoDatabase(PathBuf),
    #[error("{} is no database of runs", .0.display())]
    NotOurs(PathBuf),
    #[error("{} exists; name another file, or replace it with --force", .0.display())]
    Exists(PathBuf),
    #[error("{} belongs to the database itself; name another file", .0.display())]
    OwnFile(PathBuf),
    #[error(
        "the disk of {} has too little space: about {} are needed and {} are free. Free some, or name a file elsewhere",
        .folder.display(), mebibytes(*.needed), mebibytes(*.free)
    )]
    NoSpace {
        folder: PathBuf,
        /// In bytes, as `free`.
        needed: u64,
        free: u64,
    },
    #[error("the disk became full; the backup was removed. Free some space, or name a file elsewhere")]
    Full,
    #[error("another program has locked the database; try again when it is done")]
    Busy,
    #[error("cannot write {}: {source}", .file.display())]
    File { file: PathBuf, source: io::Error },
    /// The copy was read back and is wrong, so the database is damaged.
    #[error("the backup failed its check and was removed: {0}. See `Failures` in docs/operations.md")]
    Check(#[from] Flaw),
    #[error("the database cannot be backed up: {0}")]
    Failed(#[source] rusqlite::Error),
}

impl BackupError {
    /// The error of a statement that reads the database.
    pub(super) fn read(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Check(Flaw::Damaged(error.to_string())),
            _ => error.into(),
        }
    }
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DiskFull) => Self::Full,
            _ => Self::Failed(error),
        }
    }
}

/// Why a backup was not restored. The database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("there is no backup {}", .0.display())]
    NoBackup(PathBuf),
    #[error("a server uses the database {}; stop it first with `runtrail stop`", .0.display())]
    InUse(PathBuf),
    #[error("another program has the database {} open; close it first", .0.display())]
    Busy(PathBuf),
    #[error("the database {} exists; restore to another --data-dir, or replace it with --force, which keeps it beside the new one", .0.display())]
    Exists(PathBuf),
    #[error("{} is the database itself; name a backup of it", .0.display())]
    OwnFile(PathBuf),
    #[error("the backup cannot be restored: {0}")]
    Check(#[from] Flaw),
    #[error(
        "the disk of {} has too little space: about {} are needed and {} are free. Free some first",
        .folder.display(), mebibytes(*.needed), mebibytes(*.free)
    )]
    NoSpace {
        folder: PathBuf,
        /// In bytes, as `free`.
        needed: u64,
        free: u64,
    },
    #[error("cannot use {}: {source}", .file.display())]
    File { file: PathBuf, source: io::Error },
    #[error("the backup cannot be read: {0}")]
    Failed(#[source] rusqlite::Error),
    #[error("the database cannot be locked: {0}")]
    Lock(#[source] crate::store::StoreError),
}

impl From<rusqlite::Error> for RestoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}
