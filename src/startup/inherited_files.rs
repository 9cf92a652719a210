//! File descriptors that the server inherited. Commands must not get them, whatever user they run as.

use std::os::fd::BorrowedFd;

use rustix::io::{FdFlags, fcntl_setfd};

/// Marks inherited descriptors, except standard input, output and error, as close-on-exec. To be called before anything
/// else is opened and before other threads start. Does nothing without `/proc`.
#[allow(unsafe_code)]
pub fn close_inherited_files_on_exec() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for number in numbers.filter(|number| *number > 2) {
        // SAFETY: the number was just listed as open, and no other thread exists that could close it. The listing's own
        // descriptor may be among the numbers; it stays open until the loop ends.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let _ = fcntl_setfd(descriptor, FdFlags::CLOEXEC);
    }
}
