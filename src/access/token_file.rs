//! The server's own token, in a file that only the server's user can read.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::secret::{self, NoRandomness};

/// The name of the file in the data folder.
pub const TOKEN_FILE_NAME: &str = "token";

/// No more than this is read of a token file.
const MAX_TOKEN_FILE_BYTES: u64 = 4096;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    #[error("cannot use the token file {}: {source}", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the token file {} can be read by other users; run `chmod 600` on it, and write a new token into it", .0.display())]
    Readable(PathBuf),
    #[error("the token file {} is empty; write a token into it, or delete it", .0.display())]
    Empty(PathBuf),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// Reads the token in this file.
///
/// # Errors
/// [`TokenFileError`].
pub fn read(path: &Path) -> Result<String, TokenFileError> {
    let failed = |source| TokenFileError::File { path: path.to_owned(), source };
    // Without NONBLOCK, opening a pipe that has no writer would block.
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::new(ErrorKind::InvalidInput, "it is no regular file")));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(TokenFileError::Readable(path.to_owned()));
    }
    let mut text = String::new();
    file.take(MAX_TOKEN_FILE_BYTES).read_to_string(&mut text).map_err(failed)?;
    match text.trim() {
        "" => Err(TokenFileError::Empty(path.to_owned())),
        token => Ok(token.to_owned()),
    }
}

/// Reads the token in the data folder. If there is none yet, generates one.
///
/// # Errors
/// [`TokenFileError`].
pub fn read_or_create(data_dir: &Path) -> Result<String, TokenFileError> {
    let path = data_dir.join(TOKEN_FILE_NAME);
    match read(&path) {
        Err(TokenFileError::File { source, .. }) if source.kind() == ErrorKind::NotFound => create(&path),
        read => read,
    }
}

/// Writes a token that was backed up into the data folder, unless that has one. Returns whether it was written. Root
/// gives the file to the owner of the folder, as whom the server runs.
///
/// # Errors
/// [`TokenFileError`].
pub fn restore(data_dir: &Path, token: &str) -> Result<bool, TokenFileError> {
    let path = data_dir.join(TOKEN_FILE_NAME);
    let failed = |source| TokenFileError::File { path: path.clone(), source };
    if path.try_exists().map_err(failed)? {
        return Ok(false);
    }
    write(&path, token.trim())?;
    let owner = data_dir.metadata().map_err(failed)?;
    if rustix::process::geteuid().is_root() && owner.uid() != 0 {
        std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).map_err(failed)?;
    }
    Ok(true)
}

fn create(path: &Path) -> Result<String, TokenFileError> {
    let token = secret::generate()?;
    write(path, &token)?;
    Ok(token)
}

/// Writes under a temporary name first, so that a crash leaves no file or a complete one.
fn write(path: &Path, token: &str) -> Result<(), TokenFileError> {
    let failed = |source| TokenFileError::File { path: path.to_owned(), source };
    let draft = path.with_extension("new");
    let written = || -> io::Result<()> {
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        writeln!(file, "{token}")?;
        file.sync_all()?;
        std::fs::rename(&draft, path)?;
        File::open(path.parent().unwrap_or(path))?.sync_all()
    };
    written().map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn token_file_is_created_once_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let token = read_or_create(folder.path()).unwrap();
        assert_eq!(read_or_create(folder.path()).unwrap(), token);
        assert_eq!(folder.path().join(TOKEN_FILE_NAME).metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn token_file_is_restored_only_where_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(restore(folder.path(), "the earlier token\n").unwrap());
        assert_eq!(read_or_create(folder.path()).unwrap(), "the earlier token");
        assert_eq!(folder.path().join(TOKEN_FILE_NAME).metadata().unwrap().mode() & 0o777, 0o600);
        assert!(!restore(folder.path(), "another token").unwrap());
        assert_eq!(read_or_create(folder.path()).unwrap(), "the earlier token");
    }

    #[test]
    fn token_file_that_others_can_read_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        std::fs::write(&path, "secret\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read(&path), Err(TokenFileError::Readable(_))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path).unwrap(), "secret");
        std::fs::write(&path, " \n").unwrap();
        assert!(matches!(read(&path), Err(TokenFileError::Empty(_))));
        assert!(matches!(read(folder.path()), Err(TokenFileError::File { .. })));
        assert!(matches!(read(&folder.path().join("none")), Err(TokenFileError::File { .. })));
    }
}
