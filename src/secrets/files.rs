//! Reads secrets from files that the operator names, and from systemd credentials.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The variable with the folder of credentials (systemd.exec(5), `LoadCredential=`).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The server has no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "${CREDENTIALS} is not set; start the server by systemd with `LoadCredential=`, or set it to a folder of files"
)]
pub struct NoCredentials;

/// The path of a credential.
///
/// # Errors
/// [`NoCredentials`].
pub fn credential(name: &str) -> Result<PathBuf, NoCredentials> {
    let folder = std::env::var_os(CREDENTIALS).filter(|folder| !folder.is_empty()).ok_or(NoCredentials)?;
    Ok(Path::new(&folder).join(name))
}

/// Whether a text can be the name of a credential: a file name without a folder.
pub fn is_credential(name: &str) -> bool {
    let has_valid_chars = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-:@".contains(c));
    has_valid_chars && !name.is_empty() && name.len() <= 255 && !name.starts_with('.')
}

/// Reads a regular file, up to one byte more than `max_bytes` so that the caller notices larger files. Does not wait: a
/// named pipe is refused.
///
/// # Errors
/// I/O errors, or it is not a regular file.
pub fn read(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
    }
    let mut bytes = Vec::new();
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credential_names_are_file_names() {
        for name in ["token", "ci.npm-token", "a@b:c_D"] {
            assert!(is_credential(name), "{name}");
        }
        for name in ["", ".", "..", ".hidden", "a/b", "/a", "a b", "ä"] {
            assert!(!is_credential(name), "{name}");
        }
    }

    #[test]
    fn secret_files_are_regular_and_bounded() {
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
