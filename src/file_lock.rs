//! File locks that keep two servers off the same data. The system releases them when the process ends, however it ends.

use std::fs::{File, TryLockError};
use std::io;
use std::time::{Duration, Instant};

/// How long to wait for a lock. A killed server may have left a child between fork and exec, which holds the lock until
/// it has executed its program.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How often a lock is tried: the system has no lock with a time limit.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// Locks an open file until it is closed. Blocks up to [`PATIENCE`]. Returns whether it has the lock.
///
/// # Errors
/// The file system does not support locks.
pub fn take(file: &File) -> io::Result<bool> {
    patiently(|| match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    })
}

/// Calls `attempt` until it returns true, or up to [`PATIENCE`]. Blocks.
///
/// # Errors
/// The first error of `attempt`.
pub fn patiently(mut attempt: impl FnMut() -> io::Result<bool>) -> io::Result<bool> {
    let until = Instant::now() + PATIENCE;
    loop {
        let taken = attempt()?;
        if taken || Instant::now() >= until {
            return Ok(taken);
        }
        std::thread::sleep(RETRY_INTERVAL);
    }
}
