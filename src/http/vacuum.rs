//! `runtrail vacuum`: the database made as small as it can be, while no server uses it.

use std::fmt;

use super::config::DataArgs;
use super::{DATABASE, StartError, named_data_dir, unknown_database};
use crate::store::{VacuumError, Vacuumed, file_of_url};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What was given names no database.
    #[error(transparent)]
    Start(#[from] StartError),
    /// See [`VacuumError`].
    #[error(transparent)]
    Vacuum(#[from] VacuumError),
}

/// What came of it, as a sentence.
#[derive(Debug)]
pub struct Done(String, Vacuumed);

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(place, Vacuumed { before, after }) = self;
        write!(f, "{place}: {before} bytes before, {after} bytes now")
    }
}

/// Vacuums the database that a server would use with the same flags. Blocks until that is done.
///
/// # Errors
/// [`Failure`]; the database is as it was.
pub fn vacuum(args: &DataArgs) -> Result<Done, Failure> {
    let file = match &args.database_url {
        // Nothing else in the folder is touched, so its database is all that has to be nobody's.
        None => named_data_dir(args.data_dir.as_deref())?.join(DATABASE),
        Some(url) if url.starts_with("sqlite:") => {
            let opened = |source| StartError::Database { place: url.clone(), source };
            file_of_url(url).map_err(opened)?
        }
        Some(url) => return Err(unknown_database(url).into()),
    };
    let vacuumed = crate::store::vacuum(&file)?;
    Ok(Done(file.display().to_string(), vacuumed))
}
