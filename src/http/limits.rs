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

/// How many of the open files are left to the engine and the database, at least, if the limit is not small.
const RESERVE: u64 = 256;

/// How many open files a run takes that is carried out: the leash and the outputs of its command, and of what is being started.
const PER_WORKER: u64 = 16;

/// How many connections fit beside everything else the server has open.
///
/// # Errors
/// The system does not say how many files may be open.
pub fn connections(workers: usize) -> nix::Result<usize> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(usize::try_from(beside_reserve(soft, workers as u64)).unwrap_or(usize::MAX))
}

/// The limit of open files without the reserve: a quarter of a small one.
fn beside_reserve(open_files: u64, workers: u64) -> u64 {
    let reserve = RESERVE.max(64 + PER_WORKER.saturating_mul(workers));
    open_files - reserve.min(open_files.div_ceil(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_keeps_a_reserve_of_open_files() {
        for (open_files, workers, connections) in [
            (512, 4, 384),
            (1024, 4, 768),
            (4096, 4, 3840),
            (524_288, 4, 524_032),
            (4096, 100, 3072),
            (65_536, 100, 63_872),
        ] {
            assert_eq!(beside_reserve(open_files, workers), connections, "{open_files} {workers}");
        }
        assert_eq!((beside_reserve(0, 4), beside_reserve(1, 4), beside_reserve(64, 4)), (0, 0, 48));
    }
}
