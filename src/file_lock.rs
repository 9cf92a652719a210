//! File locks, by which one server detects another. The system releases them when the program ends, for whatever
//! reason.

use std::fs::{File, TryLockError};
use std::io;
use std::time::{Duration, Instant};

/// How long to wait for a lock that another process holds. A killed server may leave a child between fork and exec,
/// which holds the server's descriptors, and with them the lock, until exec.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Locks cannot be awaited with a timeout, so they are polled.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Locks an open file until it is closed. Returns whether that succeeded within [`PATIENCE`]. Blocks.
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

/// Repeats `attempt` until it returns true or [`PATIENCE`] is over. Blocks.
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
        std::thread::sleep(POLL_INTERVAL);
    }
}
