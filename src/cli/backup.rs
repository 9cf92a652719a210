//! `runtrail backup` and `runtrail restore`: the database and the server's token in one file.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::access::{TOKEN_FILE_NAME, TokenFileError, read_token_file, restore_token_file};
use crate::config::{DATABASE_FILE, DataArgs, DatabaseLocation, DatabaseUrlError, NoDataDir};
use crate::startup;
use crate::store::{self, Attachment, BackupError, DatabaseContents, RestoreError, StoreError, file_of_url};

/// What to back up, and where to.
#[derive(Args, Clone, Debug)]
pub struct BackupArgs {
    #[command(flatten)]
    data: DataArgs,

    /// File to write.
    file: PathBuf,

    /// Replace an existing file.
    #[arg(long)]
    force: bool,
}

/// What to restore, and where to.
#[derive(Args, Clone, Debug)]
pub struct RestoreArgs {
    #[command(flatten)]
    data: DataArgs,

    /// File that `runtrail backup` has written.
    file: PathBuf,

    /// Replace an existing database. It is kept beside the new one, with `.replaced` after its name.
    #[arg(long)]
    force: bool,
}

/// Why nothing was backed up or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupCommandError {
    #[error("this command is for SQLite; back PostgreSQL up with pg_dump, as docs/operations.md describes")]
    PostgreSql,
    #[error(transparent)]
    NoDataDir(#[from] NoDataDir),
    #[error(transparent)]
    DatabaseUrl(#[from] DatabaseUrlError),
    #[error("--database-url `{url}` names no file: {source}")]
    NoFile { url: String, source: StoreError },
    #[error("cannot use the data folder {}: {source}", .folder.display())]
    DataDir { folder: PathBuf, source: io::Error },
    #[error(transparent)]
    Token(#[from] TokenFileError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Restore(#[from] RestoreError),
}

/// A backup that was written, as a sentence for the terminal.
#[derive(Debug)]
pub struct BackupReport {
    file: PathBuf,
    contents: DatabaseContents,
    has_token: bool,
}

impl fmt::Display for BackupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DatabaseContents { runs, frames } = self.contents;
        write!(f, "{}: {runs} runs with {frames} frames", self.file.display())?;
        if self.has_token { write!(f, ", and the server's token") } else { Ok(()) }
    }
}

/// A database that was restored, as sentences for the terminal.
#[derive(Debug)]
pub struct RestoreReport {
    database: PathBuf,
    contents: DatabaseContents,
    replaced: Option<PathBuf>,
    has_restored_token: bool,
}

impl fmt::Display for RestoreReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DatabaseContents { runs, frames } = self.contents;
        write!(f, "{}: {runs} runs with {frames} frames", self.database.display())?;
        if self.has_restored_token {
            write!(f, ", and the server's token")?;
        }
        match &self.replaced {
            Some(replaced) => write!(f, "\nThe earlier database is now {}", replaced.display()),
            None => Ok(()),
        }
    }
}

/// Backs up the database and the token that a server with the same flags uses, whether it runs or not. Blocks until
/// that is done.
///
/// # Errors
/// [`BackupCommandError`]; an existing file is unchanged.
pub fn backup(args: &BackupArgs) -> Result<BackupReport, BackupCommandError> {
    startup::restrict_umask();
    let (database, data_dir) = (database(&args.data)?, args.data.data_dir()?);
    let token = match read_token_file(&data_dir.join(TOKEN_FILE_NAME)) {
        Ok(token) => Some(Attachment { name: TOKEN_FILE_NAME.to_owned(), contents: token.into_bytes() }),
        Err(TokenFileError::File { source, .. }) if source.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let attachments: Vec<_> = token.into_iter().collect();
    let contents = store::backup(&database, &args.file, &attachments, args.force)?;
    Ok(BackupReport { file: args.file.clone(), contents, has_token: !attachments.is_empty() })
}

/// Restores a backup for a server with the same flags, which must not run. A token that is there stays. Blocks until
/// that is done.
///
/// # Errors
/// [`BackupCommandError`]; the database is unchanged.
pub fn restore(args: &RestoreArgs) -> Result<RestoreReport, BackupCommandError> {
    startup::restrict_umask();
    let (database, data_dir) = (database(&args.data)?, args.data.data_dir()?);
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for folder in [folder, &data_dir] {
        // With the umask above, so that nobody else reads it.
        std::fs::create_dir_all(folder)
            .map_err(|source| BackupCommandError::DataDir { folder: folder.to_owned(), source })?;
    }
    let restored = store::restore(&args.file, &database, args.force)?;
    let mut has_restored_token = false;
    for attachment in restored.attachments.iter().filter(|attachment| attachment.name == TOKEN_FILE_NAME) {
        has_restored_token = restore_token_file(&data_dir, &String::from_utf8_lossy(&attachment.contents))?;
    }
    Ok(RestoreReport { database, contents: restored.contents, replaced: restored.replaced, has_restored_token })
}

/// The file of the database, whether it exists or not.
fn database(args: &DataArgs) -> Result<PathBuf, BackupCommandError> {
    match args.database()? {
        DatabaseLocation::DataDir => Ok(args.data_dir()?.join(DATABASE_FILE)),
        DatabaseLocation::Sqlite(url) => file_of_url(&url).map_err(|source| BackupCommandError::NoFile { url, source }),
        DatabaseLocation::Postgres(_) => Err(BackupCommandError::PostgreSql),
    }
}
