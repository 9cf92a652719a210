//! Errors that pass when the system has resources again: descriptors, processes, memory, disk space. They delay a phase
//! and never fail it.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use nix::errno::Errno;

/// The wait before the first retry. Each later wait is twice the one before, up to
/// [`MAX_SHORTAGE_RETRY_DELAY`].
pub(in crate::engine) const FIRST_SHORTAGE_RETRY_DELAY: Duration = Duration::from_millis(50);

pub(in crate::engine) const MAX_SHORTAGE_RETRY_DELAY: Duration = Duration::from_secs(2);

/// How long a shortage lasts before it is journaled.
pub(in crate::engine) const REPORT_SHORTAGE_AFTER: Duration = Duration::from_secs(1);

/// An error that may be a shortage.
pub(in crate::engine) trait Transient: Display {
    /// Whether the same operation may succeed in a moment.
    fn is_transient(&self) -> bool;
}

impl Transient for io::Error {
    fn is_transient(&self) -> bool {
        let shortages = [
            Errno::EMFILE,
            Errno::ENFILE,
            // fork(2): too many processes.
            Errno::EAGAIN,
            Errno::ENOMEM,
            Errno::ENOBUFS,
            Errno::ENOSPC,
            Errno::EDQUOT,
        ];
        self.raw_os_error().is_some_and(|code| shortages.contains(&Errno::from_raw(code)))
    }
}
