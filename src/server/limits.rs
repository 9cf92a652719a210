//! How many files the program may have open: each reader is one, and systems often start programs with few.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises this program's limit of open files as far as it may by itself. Returns what it was, for the commands it starts:
/// some programs break with a high one.
pub fn raise_open_files() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        tracing::warn!(%error, limit = soft, "cannot raise the limit of open files; so many readers at most");
    }
    Some(soft)
}
