//! What protects this process from the commands that it starts.

use std::path::PathBuf;

/// Keeps programs of the same user out of `/proc/PID` of this process (variables, open files, memory) and from tracing it. Holds until the
/// next execve(2), so the programs that this process starts are as open as any other. Not root, who may look into everything.
///
/// # Errors
/// The system's.
pub fn hide() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_dumpable(false)?;
    Ok(())
}

/// This program, for this process and those that it starts directly. On Linux by the kernel's own link, which stays right when the file is
/// replaced by a newer version.
///
/// # Errors
/// The file cannot be found.
pub fn own_program() -> std::io::Result<PathBuf> {
    // A child that is not another program yet is its own `self`; what stands in `/proc` of a hidden process is for that one alone.
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { Ok(link) } else { std::env::current_exe() }
}
