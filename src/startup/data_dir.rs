//! The data folder: created, closed to other users, and locked by one server.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::instance::{Instance, LOCK_FILE};
use super::{StartError, modes};
use crate::file_lock;

/// The locks on a data folder, released when dropped.
pub struct DataDirLock {
    file: File,
    instance: Instance,
    /// The folder itself as well, since the file may be removed. `None` on file systems that cannot lock folders.
    _folder: Option<File>,
}

impl DataDirLock {
    /// Says that the server serves requests.
    pub fn set_ready(&self) {
        let ready = self.instance.as_ready();
        if let Err(error) = ready.write(&self.file) {
            tracing::warn!(%error, "cannot write the server's number into its lock file: `runtrail restart` waits in vain");
        }
    }
}

/// Creates the folder if it is missing, and takes away permissions of other users. Returns its canonical path.
///
/// # Errors
/// [`StartError::DataDir`].
pub fn create(folder: &Path) -> Result<PathBuf, StartError> {
    std::fs::create_dir_all(folder)
        .and_then(|()| modes::remove_access_of_others(folder))
        .and_then(|()| folder.canonicalize())
        .map_err(|source| StartError::DataDir { folder: folder.to_owned(), source })
}

/// Locks the folder. Blocks for up to [`file_lock::PATIENCE`] while another process holds the lock.
///
/// # Errors
/// [`StartError::DataDir`]: another server uses the folder, or it cannot be locked.
pub fn lock(folder: &Path) -> Result<DataDirLock, StartError> {
    let failed = |source: io::Error| {
        let source = match source.kind() {
            ErrorKind::WouldBlock => io::Error::other("another server uses it"),
            _ => source,
        };
        StartError::DataDir { folder: folder.to_owned(), source }
    };
    let acquire = |file: File| match file_lock::take(&file)? {
        true => Ok(file),
        false => Err(io::Error::from(ErrorKind::WouldBlock)),
    };
    let file = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK_FILE));
    let file = file.and_then(acquire).map_err(failed)?;
    let folder = match File::open(folder).and_then(acquire) {
        Ok(folder) => Some(folder),
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(failed(error)),
        Err(_) => None,
    };
    let instance = Instance::starting();
    instance.write(&file).map_err(failed)?;
    Ok(DataDirLock { file, instance, _folder: folder })
}
