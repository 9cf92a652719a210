//! Ends what has escaped its pipe: commands whose supervisor was killed, with the server or alone, before it could end them. They
//! still have the variables that every command gets.

use std::path::Path;

use rustix::process::Signal;

use super::process_table::{ProcessInfo, find_process, send};

/// The variable that names the folder of a command's attempt, below that of the server's data.
pub const WORKSPACE_VARIABLE: &str = "RUNTRAIL_WORKSPACE";

/// MountKind it begins among the variables of a process. Supervisors have it among their arguments as well.
pub(super) const WORKSPACE_MARKER: &str = "RUNTRAIL_WORKSPACE=";

/// MountKind often is looked: one that starts others meanwhile leaves them to the next look.
const MAX_PASSES: usize = 10;

/// Kills every process whose attempt has its workspace in this folder. Only one server has the folder, and it has started nothing
/// yet. Does nothing where there is no /proc.
pub fn kill_orphans(workspaces: &Path) {
    let mark = [WORKSPACE_MARKER.as_bytes(), workspaces.as_os_str().as_encoded_bytes(), b"/"].concat();
    end_all(|variable| variable.starts_with(&mark));
}

/// Kills every process of the attempt that has this workspace, when nobody carries it out any more, or nothing of it is to be left.
pub async fn kill_attempt_orphans(workspace: &Path) {
    let mark = [WORKSPACE_MARKER.as_bytes(), workspace.as_os_str().as_encoded_bytes()].concat();
    // It cannot fail, but with the runtime.
    let _ = tokio::task::spawn_blocking(move || end_all(|variable| variable == mark)).await;
}

fn end_all(is_mark: impl Fn(&[u8]) -> bool) {
    for _ in 0..MAX_PASSES {
        let left = marked(&is_mark);
        if left.is_empty() {
            return;
        }
        tracing::warn!(?left, "ending processes that nobody watches over any more");
        for process in left {
            // One that has ended by itself is as good.
            send(process.id, Signal::KILL);
        }
    }
}

/// The processes that have such a mark among their variables.
#[expect(clippy::disallowed_methods, reason = "/proc is the system's own")]
fn marked(is_mark: impl Fn(&[u8]) -> bool) -> Vec<ProcessInfo> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let own = i32::try_from(std::process::id()).ok();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let has_mark = |pid: &i32| {
        // Those of supervisors cannot be read, unless by root: they are hidden (own_process.rs). Those of others cannot either, and are not ours.
        let variables = std::fs::read(format!("/proc/{pid}/environ"));
        let texts = variables.or_else(|_| std::fs::read(format!("/proc/{pid}/cmdline")));
        texts.is_ok_and(|texts| texts.split(|byte| *byte == 0).any(&is_mark))
    };
    // Which process it is is known before it is looked at: its number may be another one's afterwards.
    pids.filter(|pid| Some(*pid) != own).filter_map(find_process).filter(|process| has_mark(&process.id.pid)).collect()
}
