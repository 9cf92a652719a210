//! Descriptors that the server was started with. Commands are not to have them, whatever user they are.

use std::os::fd::BorrowedFd;

use rustix::io::{FdFlags, fcntl_setfd};

/// Keeps what this process has inherited, besides standard input, output and error, from all that it starts. To be called before anything
/// else is opened.
#[allow(unsafe_code)]
pub fn keep_inherited_files() {
    // Without /proc there is nothing to go by.
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for number in numbers.filter(|number| *number > 2) {
        // SAFETY: the number was just listed as open, and no other thread is there to close it. The listing itself may be among them, which
        // is open as long as this loop.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let _ = fcntl_setfd(descriptor, FdFlags::CLOEXEC);
    }
}
