//! `runtrail restore`: a backup takes the place of the database, while no server uses it.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::attachments::{self, Attachment};
use super::check::{self, DatabaseContents, Flaw};
use super::publish::{Draft, beside, sync_folder};
use super::{RestoreError, free_space};
use crate::store::StoreError;
use crate::store::sqlite::BUSY_TIMEOUT;
use crate::store::sqlite::lock::Lock;

/// The end of the name of a database that was replaced.
const REPLACED: &str = ".replaced";

/// A restored database.
#[derive(Debug)]
pub struct Restored {
    pub contents: DatabaseContents,
    /// The files that were backed up with it, which the caller restores.
    pub attachments: Vec<Attachment>,
    /// The database that was there before.
    pub replaced: Option<PathBuf>,
}

/// Puts the backup `file` in the place of `database`, in a folder that exists. A database that is there is replaced
/// only if `replace` says so, and kept under the name `….replaced`. Blocks for as long as that takes.
///
/// Root gives the new database to the owner of the folder, as whom the server runs.
///
/// # Errors
/// [`RestoreError`]; then the database is as it was.
pub fn restore(file: &Path, database: &Path, replace: bool) -> Result<Restored, RestoreError> {
    if !file.is_file() {
        return Err(RestoreError::NoBackup(file.to_owned()));
    }
    let failed = |source| RestoreError::File { file: database.to_owned(), source };
    let is_new = !database.exists();
    let lock = Lock::take(database, true).map_err(|error| match error {
        StoreError::InUse => RestoreError::InUse(database.to_owned()),
        error => RestoreError::Lock(error),
    })?;
    let restored = restore_locked(file, lock.file(), replace);
    let is_empty = || database.metadata().is_ok_and(|metadata| metadata.len() == 0);
    if restored.is_err() && is_new && is_empty() {
        // Made by the lock.
        std::fs::remove_file(database).map_err(failed)?;
    }
    restored
}

fn restore_locked(file: &Path, database: &Path, replace: bool) -> Result<Restored, RestoreError> {
    let failed = |source| RestoreError::File { file: database.to_owned(), source };
    if file.canonicalize().is_ok_and(|file| file == database) {
        return Err(RestoreError::OwnFile(file.to_owned()));
    }
    let has_old = database.metadata().map_err(failed)?.len() > 0;
    if has_old && !replace {
        return Err(RestoreError::Exists(database.to_owned()));
    }
    let draft = copy(file, database)?;
    let (contents, attachments) = {
        let copy = Connection::open_with_flags(draft.path(), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Before it is checked, so that what is checked is what is restored.
        let attachments = attachments::take(&copy).map_err(Flaw::from)?;
        let contents = check::check(&copy)?;
        copy.close().map_err(|(_, error)| error)?;
        (contents, attachments)
    };
    give_to_owner(draft.path(), database).map_err(failed)?;
    let replaced = if has_old { Some(set_aside(database)?) } else { None };
    draft.publish(true).map_err(failed)?;
    Ok(Restored { contents, attachments, replaced })
}

/// Copies the backup beside the database: the backup itself is never opened for writing.
fn copy(file: &Path, database: &Path) -> Result<Draft, RestoreError> {
    let failed = |source| RestoreError::File { file: file.to_owned(), source };
    let mut from = File::open(file).map_err(failed)?;
    let folder = database.parent().unwrap_or(Path::new("/"));
    let needed = from.metadata().map_err(failed)?.len();
    let free = free_space::free_bytes(folder).map_err(|error| failed(error.into()))?;
    if free < needed {
        return Err(RestoreError::NoSpace { folder: folder.to_owned(), needed, free });
    }
    let draft = Draft::create(database).map_err(failed)?;
    let mut to = File::options().write(true).open(draft.path()).map_err(failed)?;
    io::copy(&mut from, &mut to).map_err(failed)?;
    Ok(draft)
}

/// Gives the database a second name, under which it stays when its own is given to another file, and removes its log.
/// Returns that name.
///
/// A log that stayed would be applied to the new database. So it is written back first; and if that is impossible
/// because the database is damaged, it is kept beside the second name.
fn set_aside(database: &Path) -> Result<PathBuf, RestoreError> {
    let failed = |source| RestoreError::File { file: database.to_owned(), source };
    match write_log_back(database) {
        Ok(true) => {}
        Ok(false) => return Err(RestoreError::Busy(database.to_owned())),
        Err(error) if is_busy(&error) => return Err(RestoreError::Busy(database.to_owned())),
        // Damaged: what is there is kept as it is.
        Err(_) => {}
    }
    let replaced = beside(database, REPLACED);
    for end in ["", "-wal"] {
        let (from, to) = (beside(database, end), beside(&replaced, end));
        remove_if_there(&to).map_err(failed)?;
        // A log that was written back is empty.
        if from.metadata().is_ok_and(|file| file.len() > 0) {
            std::fs::hard_link(&from, &to).map_err(failed)?;
        }
    }
    sync_folder(database).map_err(failed)?;
    for end in ["-wal", "-shm", "-journal"] {
        remove_if_there(&beside(database, end)).map_err(failed)?;
    }
    Ok(replaced)
}

/// Returns whether no other program reads the database.
fn write_log_back(database: &Path) -> rusqlite::Result<bool> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Otherwise closing it removes the log of a database that is damaged.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(!busy)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Gives a file that root has made to the owner of the data folder, as whom the server runs.
fn give_to_owner(file: &Path, database: &Path) -> io::Result<()> {
    let owner = database.parent().unwrap_or(Path::new("/")).metadata()?;
    if rustix::process::geteuid().is_root() && owner.uid() != 0 {
        for made in [file.to_owned(), beside(database, ".lock")] {
            fchown(File::open(made)?, Some(owner.uid()), Some(owner.gid()))?;
        }
    }
    Ok(())
}
