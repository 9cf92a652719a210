//! `runtrail backup`: the database in one file, written while a server uses it.
//!
//! By `VACUUM INTO`: one read transaction sees one state of the database, and the writer continues beside it. SQLite's
//! backup API copies pages instead, among them free ones with what deleted runs and secrets have left, and damaged
//! ones. In steps it also starts again after every commit of another process.
//!
//! Small files of the data folder are in the same file: [`attachments`]. The backup is checked before it gets its
//! name: [`check`]. [`restore`] puts it in the place of a database.

mod attachments;
mod check;
mod error;
mod publish;
mod restore;

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{BUSY_TIMEOUT, free_space};
pub use attachments::Attachment;
pub use check::DatabaseContents;
pub use error::{BackupError, RestoreError};
pub use restore::{Restored, restore};

/// Writes a backup of the database `database` to `file`, with these attachments. Replaces an existing file only if
/// `replace` says so. Blocks for as long as that takes. The backup has mode 0600.
///
/// # Errors
/// [`BackupError`]; then `file` is as it was.
pub fn backup(
    database: &Path,
    file: &Path,
    attachments: &[Attachment],
    replace: bool,
) -> Result<DatabaseContents, BackupError> {
    if !database.is_file() {
        return Err(BackupError::NoDatabase(database.to_owned()));
    }
    let failed = |source| BackupError::File { file: file.to_owned(), source };
    let database = database.canonicalize().map_err(failed)?;
    let target = publish::resolve(file).map_err(failed)?;
    if publish::belongs_to(&target, &database) {
        return Err(BackupError::OwnFile(file.to_owned()));
    }
    if target.exists() && !replace {
        return Err(BackupError::Exists(file.to_owned()));
    }
    let source = open_source(&database)?;
    require_space(&source, &target)?;
    let draft = publish::Draft::create(&target).map_err(failed)?;
    source.execute("VACUUM INTO ?1", [draft.sql_name().map_err(failed)?]).map_err(BackupError::read)?;
    drop(source);
    let copy = Connection::open_with_flags(draft.path(), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    attachments::write(&copy, attachments)?;
    let contents = check::check(&copy)?;
    copy.close().map_err(|(_, error)| error)?;
    draft.publish(replace).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => BackupError::Exists(file.to_owned()),
        _ => failed(error),
    })?;
    Ok(contents)
}

/// Opens the database beside its server. It is not changed: closing it does not write its log back either.
fn open_source(database: &Path) -> Result<Connection, BackupError> {
    // SQLite's read-only mode cannot read the log of a server that was killed.
    let source = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    source.busy_timeout(BUSY_TIMEOUT)?;
    source.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    if !check::is_ours(&source).map_err(BackupError::read)? {
        return Err(BackupError::NotOurs(database.to_owned()));
    }
    Ok(source)
}

/// Fails if the disk of `target` has no space for the database without its free pages.
fn require_space(source: &Connection, target: &Path) -> Result<(), BackupError> {
    let number = |pragma: &str| source.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    let needed = (number("page_count")? - number("freelist_count")?) * number("page_size")?;
    let (needed, folder) = (needed.unsigned_abs(), target.parent().unwrap_or(Path::new("/")));
    let free = free_space::free_bytes(folder)
        .map_err(|source| BackupError::File { file: target.to_owned(), source: source.into() })?;
    if free < needed {
        return Err(BackupError::NoSpace { folder: folder.to_owned(), needed, free });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
