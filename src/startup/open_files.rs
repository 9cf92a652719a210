//! The limit of open files: each connection takes one, and systems often start programs with a low limit.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Open files that are reserved for the engine and the database, unless the limit is small.
const MIN_RESERVE: u64 = 256;

/// Open files of the reserve that do not depend on the number of workers.
const BASE_RESERVE: u64 = 64;

/// Open files that a running command takes: its supervisor, its outputs, and those of a command that is being started.
const FILES_PER_WORKER: u64 = 16;

/// Raises the soft limit of open files to the hard limit. Returns the previous soft limit.
pub fn raise_limit() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        tracing::warn!(%error, soft, hard, "cannot raise the open file limit, which bounds the number of connections");
    }
    Some(soft)
}

/// How many connections fit beside everything else that the server has open.
///
/// # Errors
/// The system does not report the limit.
pub fn available_for_connections(workers: usize) -> nix::Result<usize> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(usize::try_from(without_reserve(soft, workers as u64)).unwrap_or(usize::MAX))
}

/// The limit minus the reserve, which takes at most a quarter of the limit.
fn without_reserve(limit: u64, workers: u64) -> u64 {
    let reserve = MIN_RESERVE.max(BASE_RESERVE + FILES_PER_WORKER.saturating_mul(workers));
    limit - reserve.min(limit.div_ceil(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_file_reserve_grows_with_workers() {
        for (limit, workers, connections) in [
            (512, 4, 384),
            (1024, 4, 768),
            (4096, 4, 3840),
            (524_288, 4, 524_032),
            (4096, 100, 3072),
            (65_536, 100, 63_872),
        ] {
            assert_eq!(without_reserve(limit, workers), connections, "{limit} {workers}");
        }
        assert_eq!((without_reserve(0, 4), without_reserve(1, 4), without_reserve(64, 4)), (0, 0, 48));
    }
}
