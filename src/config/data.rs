//! Where a server keeps its data.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::store::PostgresOptions;

/// The database's file in the data folder, unless `--database-url` names another.
pub const DATABASE_FILE: &str = "runtrail.db";

/// Where the data is.
#[derive(Args, Clone, Debug)]
pub struct DataArgs {
    /// Folder for the database and the runs' scratch folders [default: the platform's data folder].
    #[arg(long, env = "RUNTRAIL_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,

    /// Database, as sqlite://FILE or postgres://USER@HOST/DATABASE [default: runtrail.db in the data folder].
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,

    /// File with the password of a PostgreSQL database.
    #[arg(long, env = "RUNTRAIL_DATABASE_PASSWORD_FILE", value_name = "FILE")]
    pub database_password_file: Option<PathBuf>,

    /// How many connections to a PostgreSQL database read at once; four more write, notify and listen.
    #[arg(long, env = "RUNTRAIL_DATABASE_CONNECTIONS", value_name = "COUNT", default_value = "8")]
    pub database_connections: NonZeroU32,
}

/// The platform has no default data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this system has no default data folder; set one with --data-dir")]
pub struct NoDataDir;

/// The URL names a kind of database that this version does not support. Holds only the scheme: the rest may contain a
/// password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot use the database `{0}://…`: set --database-url to sqlite://FILE or postgres://USER@HOST/DATABASE, or leave it out"
)]
pub struct DatabaseUrlError(String);

/// Which database a server uses.
#[derive(Clone, Debug)]
pub enum DatabaseLocation {
    /// [`DATABASE_FILE`] in the data folder.
    DataDir,
    /// The SQLite file of this URL.
    Sqlite(String),
    /// A PostgreSQL server.
    Postgres(PostgresOptions),
}

impl DataArgs {
    /// The data folder, whether it exists or not.
    ///
    /// # Errors
    /// [`NoDataDir`]: neither the flag nor the platform names one.
    pub fn data_dir(&self) -> Result<PathBuf, NoDataDir> {
        data_dir_or_default(self.data_dir.as_deref())
    }

    /// The database that `--database-url` names.
    ///
    /// # Errors
    /// [`DatabaseUrlError`]: it names a database of another kind.
    pub fn database(&self) -> Result<DatabaseLocation, DatabaseUrlError> {
        let Some(url) = &self.database_url else { return Ok(DatabaseLocation::DataDir) };
        match url.split_once(':').map_or("", |(scheme, _)| scheme) {
            "sqlite" => Ok(DatabaseLocation::Sqlite(url.clone())),
            "postgres" | "postgresql" => Ok(DatabaseLocation::Postgres(PostgresOptions {
                url: url.clone(),
                password_file: self.database_password_file.clone(),
                max_read_connections: self.database_connections,
            })),
            scheme => Err(DatabaseUrlError(scheme.to_owned())),
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
