//! Errors of an attempt's folders, with the path that they are about.

use std::io;
use std::path::Path;

use super::git::GitError;

/// Why a folder or repository of an attempt cannot be created or read.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    #[error("the workspace cannot be written or read: {0}")]
    Disk(#[from] io::Error),
    #[error(transparent)]
    Git(#[from] GitError),
}

/// The same error with the path in its message.
pub fn with_path(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
