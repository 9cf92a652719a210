//! Where a server keeps its data.

use std::path::{Path, PathBuf};

use clap::Args;

/// The database's file in the data folder, unless `--database-url` names another.
pub const DATABASE_FILE: &str = "runtrail.db";

/// Where the data is.
#[derive(Args, Clone, Debug)]
pub struct DataArgs {
    /// Folder for the database and the runs' scratch folders [default: the platform's data folder].
    #[arg(long, env = "RUNTRAIL_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,

    /// Database, as sqlite://FILE [default: runtrail.db in the data folder].
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
}

/// The platform has no default data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this system has no default data folder; set one with --data-dir")]
pub struct NoDataDir;

/// The URL names a kind of database that this version does not support. Holds only the scheme: the rest may contain a
/// password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot use the database `{0}://…`: this version supports SQLite only; set --database-url to sqlite://FILE, or leave it out"
)]
pub struct DatabaseUrlError(String);

impl DataArgs {
    /// The data folder, whether it exists or not.
    ///
    /// # Errors
    /// [`NoDataDir`]: neither the flag nor the platform names one.
    pub fn data_dir(&self) -> Result<PathBuf, NoDataDir> {
        data_dir_or_default(self.data_dir.as_deref())
    }

    /// The SQLite URL of the database; `None` if the database is [`DATABASE_FILE`] in the data folder.
    ///
    /// # Errors
    /// [`DatabaseUrlError`]: `--database-url` is not a SQLite URL.
    pub fn sqlite_url(&self) -> Result<Option<&str>, DatabaseUrlError> {
        match self.database_url.as_deref() {
            Some(url) if !url.starts_with("sqlite:") => {
                let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
                Err(DatabaseUrlError(scheme.to_owned()))
            }
            url => Ok(url),
        }
    }
}

/// `data_dir`, or else the platform's default.
///
/// # Errors
/// [`NoDataDir`].
pub fn data_dir_or_default(data_dir: Option<&Path>) -> Result<PathBuf, NoDataDir> {
    match data_dir {
        Some(folder) => Ok(folder.to_owned()),
        None => Ok(dirs::data_dir().ok_or(NoDataDir)?.join("runtrail")),
    }
}
