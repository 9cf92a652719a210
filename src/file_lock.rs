//! Locks on files, by which one server knows of another. The system lets go of them when the program ends, however it does.

use std::fs::{File, TryLockError};
use std::io;
use std::time::{Duration, Instant};

/// How long a lock that somebody has is waited for. A server that was killed may have left a child that is not another program yet: until
/// then the child has all that the server had open, and with it the lock.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is tried meanwhile: nothing tells when a lock is free to somebody who will not wait for ever.
const AGAIN: Duration = Duration::from_millis(20);

/// Takes the lock on an open file, or waits a moment for it. Returns whether it has it, until the file is closed. Blocks.
///
/// # Errors
/// The file system knows no locks.
pub fn take(file: &File) -> io::Result<bool> {
    patiently(|| match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    })
}

/// Tries until it is so, but not for long. Blocks.
///
/// # Errors
/// The first that a try has.
pub fn patiently(mut attempt: impl FnMut() -> io::Result<bool>) -> io::Result<bool> {
    let until = Instant::now() + PATIENCE;
    loop {
        let taken = attempt()?;
        if taken || Instant::now() >= until {
            return Ok(taken);
        }
        std::thread::sleep(AGAIN);
    }
}
