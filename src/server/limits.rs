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

/// Whether this program was started with SIGHUP ignored, as by `nohup`: it is to outlive its terminal.
pub fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // SIGHUP is the first signal, and so the lowest bit.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
