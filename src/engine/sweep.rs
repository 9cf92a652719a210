//! Ends what runs of an earlier server have left: commands that escaped their leash (both it and the server were killed at once,
//! and they had a session of their own by then). They still have the variables that every command gets.

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The variable that names the folder of a command's attempt, below that of the server's data.
const MARKER: &str = "RUNTRAIL_WORKSPACE=";

/// How often is looked: one that starts others meanwhile leaves them to the next look.
const LOOKS: usize = 10;

/// Kills every process whose attempt has its workspace in this folder. Only one server has the folder, and it has started nothing
/// yet. Does nothing where there is no /proc.
pub fn sweep(workspaces: &Path) {
    let mark = [MARKER.as_bytes(), workspaces.as_os_str().as_encoded_bytes(), b"/"].concat();
    for _ in 0..LOOKS {
        let left = marked(&mark);
        if left.is_empty() {
            return;
        }
        tracing::warn!(?left, "ending processes that an earlier server has left");
        for pid in left {
            // One that has ended by itself is as good.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// The processes that have the mark among their variables.
fn marked(mark: &[u8]) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let own = i32::try_from(std::process::id()).ok();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let has_mark = |pid: &i32| {
        // Those of others cannot be read, and are not ours.
        std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|variables| variables.split(|byte| *byte == 0).any(|variable| variable.starts_with(mark)))
    };
    pids.filter(|pid| Some(*pid) != own).filter(has_mark).collect()
}
