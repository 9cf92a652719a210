//! `runtrail vacuum`: compacts the database while no server uses it.

use std::fmt;

use crate::config::{DATABASE_FILE, DataArgs, DatabaseLocation, DatabaseUrlError, NoDataDir};
use crate::store::{StoreError, VacuumError, Vacuumed, file_of_url, vacuum as vacuum_file};

/// Why the database was not compacted.
#[derive(Debug, thiserror::Error)]
pub enum VacuumCommandError {
    #[error(transparent)]
    NoDataDir(#[from] NoDataDir),
    #[error(transparent)]
    DatabaseUrl(#[from] DatabaseUrlError),
    #[error("cannot open the database {url}: {source}")]
    Open { url: String, source: StoreError },
    #[error("PostgreSQL compacts its databases itself; `runtrail vacuum` is for SQLite")]
    Postgres,
    #[error(transparent)]
    Vacuum(#[from] VacuumError),
}

/// The result, as a sentence for the terminal.
#[derive(Debug)]
pub struct VacuumReport {
    place: String,
    sizes: Vacuumed,
}

impl fmt::Display for VacuumReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Vacuumed { before, after } = self.sizes;
        write!(f, "{}: {before} bytes before, {after} bytes now", self.place)
    }
}

/// Compacts the database that a server with the same flags would use. Blocks until that is done. Touches no other file
/// of the data folder, so it needs no lock on the folder.
///
/// # Errors
/// [`VacuumCommandError`]; the database is unchanged.
pub fn vacuum(args: &DataArgs) -> Result<VacuumReport, VacuumCommandError> {
    let file = match args.database()? {
        DatabaseLocation::DataDir => args.data_dir()?.join(DATABASE_FILE),
        DatabaseLocation::Sqlite(url) => {
            file_of_url(&url).map_err(|source| VacuumCommandError::Open { url, source })?
        }
        DatabaseLocation::Postgres(_) => return Err(VacuumCommandError::Postgres),
    };
    let sizes = vacuum_file(&file)?;
    Ok(VacuumReport { place: file.display().to_string(), sizes })
}
