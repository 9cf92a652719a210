//! Protects this process from the commands that it starts.

use std::path::PathBuf;

/// Keeps programs of the same user from reading `/proc/PID` of this process (variables, open files, memory) and from
/// tracing it. It holds until the next execve(2), so programs that this process starts are not protected. Root can read
/// everything anyway.
///
/// # Errors
/// The system's.
pub fn hide() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_dumpable(false)?;
    Ok(())
}

/// The path of this program, for this process and its direct children. On Linux it is the kernel's link, which stays
/// valid when the file is replaced by a newer version.
///
/// # Errors
/// The file cannot be found.
pub fn own_program() -> std::io::Result<PathBuf> {
    // A child follows the link for itself before it executes another program. Other processes cannot follow that of a
    // hidden process.
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { Ok(link) } else { std::env::current_exe() }
}
