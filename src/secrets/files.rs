//! Secrets in files: those that the operator names, and the credentials that systemd gives to a service.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The variable that names the folder of credentials (systemd.exec(5), `LoadCredential=`).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The server has no credentials at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "${CREDENTIALS} is not set; start the server by systemd with `LoadCredential=`, or set it to a folder of files"
)]
pub struct NoCredentials;

/// Where the credential of this name is.
///
/// # Errors
/// [`NoCredentials`].
pub fn credential(name: &str) -> Result<PathBuf, NoCredentials> {
    let folder = std::env::var_os(CREDENTIALS).filter(|folder| !folder.is_empty()).ok_or(NoCredentials)?;
    Ok(Path::new(&folder).join(name))
}

/// Whether a text can be a credential's name: that of a file, without a folder.
pub fn is_credential(name: &str) -> bool {
    let is_made_well = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-:@".contains(c));
    is_made_well && !name.is_empty() && name.len() <= 255 && !name.starts_with('.')
}

/// Reads a regular file, at most this many bytes and one more. Waits for nothing: a named pipe is refused.
///
/// # Errors
/// The system's. It is no regular file.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
    }
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_a_file_of_its_folder() {
        for name in ["token", "ci.npm-token", "a@b:c_D"] {
            assert!(is_credential(name), "{name}");
        }
        for name in ["", ".", "..", ".hidden", "a/b", "/a", "a b", "ä"] {
            assert!(!is_credential(name), "{name}");
        }
    }

    #[test]
    fn only_plain_files_are_read_and_no_more_than_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, [b'x'; 100]).unwrap();
        assert_eq!(read(&file, 100).unwrap().len(), 100);
        assert_eq!(read(&file, 10).unwrap().len(), 11);
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for other in [&pipe, folder.path()] {
            assert!(read(other, 10).unwrap_err().to_string().contains("not a plain file"));
        }
        assert_eq!(read(&folder.path().join("none"), 10).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
