//! Kills orphaned commands: those whose supervisor was killed before it could end them. Their environment still
//! identifies their attempt.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;

use rustix::process::Signal;

use super::process_table::{ProcessInfo, find_process, send_signal};

/// The variable with the workspace of a command's attempt.
pub const WORKSPACE_VARIABLE: &str = "RUNTRAIL_WORKSPACE";

/// The same as it begins in a process's environment. Supervisors have it among their arguments.
pub(super) const WORKSPACE_MARKER: &str = "RUNTRAIL_WORKSPACE=";

/// The most passes. A process that starts others during a pass leaves them to the next one.
const MAX_PASSES: usize = 10;

/// Kills every process whose attempt has its workspace in this folder, except those of attempts that this server has
/// taken over. Called at startup: the folder belongs to this server, which has started nothing yet. Does nothing where
/// there is no /proc.
pub fn kill_orphans(workspaces: &Path, adopted: &HashSet<OsString>) {
    let mark = [WORKSPACE_MARKER.as_bytes(), workspaces.as_os_str().as_encoded_bytes(), b"/"].concat();
    let is_adopted = |name: &[u8]| adopted.iter().any(|adopted| adopted.as_encoded_bytes() == name);
    end_all(|variable| variable.strip_prefix(&mark[..]).is_some_and(|name| !is_adopted(name)));
}

/// Kills every process of the attempt with this workspace. Called when no worker executes it any more.
pub async fn kill_attempt_orphans(workspace: &Path) {
    let mark = [WORKSPACE_MARKER.as_bytes(), workspace.as_os_str().as_encoded_bytes()].concat();
    // The task fails only if the runtime shuts down.
    let _ = tokio::task::spawn_blocking(move || end_all(|variable| variable == mark)).await;
}

fn end_all(is_mark: impl Fn(&[u8]) -> bool) {
    for _ in 0..MAX_PASSES {
        let left = marked(&is_mark);
        if left.is_empty() {
            return;
        }
        tracing::warn!(?left, "killing processes whose supervisor is gone");
        for process in left {
            // The process may have ended by itself.
            send_signal(process.id, Signal::KILL);
        }
    }
}

/// The processes with a matching mark among their variables.
#[expect(clippy::disallowed_methods, reason = "/proc is the system's own")]
fn marked(is_mark: impl Fn(&[u8]) -> bool) -> Vec<ProcessInfo> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let own = i32::try_from(std::process::id()).ok();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let has_mark = |pid: &i32| {
        // The environment of a supervisor is hidden (own_process.rs), but its arguments are not. Processes of other
        // users cannot be read.
        let variables = std::fs::read(format!("/proc/{pid}/environ"));
        let texts = variables.or_else(|_| std::fs::read(format!("/proc/{pid}/cmdline")));
        texts.is_ok_and(|texts| texts.split(|byte| *byte == 0).any(&is_mark))
    };
    // Identified before its environment is read, since the pid may be reused afterwards.
    pids.filter(|pid| Some(*pid) != own).filter_map(find_process).filter(|process| has_mark(&process.id.pid)).collect()
}
