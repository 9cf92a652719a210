//! Processes in /proc: which descend from this one, and signals that cannot reach a process that has reused a pid.

use std::collections::HashMap;
use std::io;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

/// Identifies a process. A pid alone may be reused; with the start time it is unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    pub start: u64,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    pub id: ProcessId,
    /// The process that started or adopted it.
    pub parent: i32,
    /// The name of its program. The kernel cuts it to 15 bytes.
    pub name: String,
    /// Whether it has ended and its parent has not waited for it yet.
    pub is_zombie: bool,
}

/// The result of sending a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalResult {
    Sent,
    /// The process has ended.
    NoProcess,
    /// The process belongs to another user.
    Refused,
}

/// All running descendants of a process, oldest generation first. Empty where there is no /proc.
#[expect(clippy::disallowed_methods, reason = "/proc is the system's own")]
pub fn descendants(of: i32) -> Vec<ProcessInfo> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    descendants_in(pids.filter_map(find_process).collect(), of)
}

/// The same in a given table of processes.
fn descendants_in(table: Vec<ProcessInfo>, of: i32) -> Vec<ProcessInfo> {
    let mut children: HashMap<i32, Vec<ProcessInfo>> = HashMap::new();
    for process in table {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = children.remove(&of).unwrap_or_default();
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|process| process.id.pid) {
        found.extend(children.remove(&parent).unwrap_or_default());
        next += 1;
    }
    found.retain(|process| !process.is_zombie);
    found
}

/// Looks up a process by its pid.
#[expect(clippy::disallowed_methods, reason = "/proc is the system's own")]
pub fn find_process(pid: i32) -> Option<ProcessInfo> {
    parse(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Parses `/proc/PID/stat`: `pid (name) state ppid …`. The name may contain anything, including parentheses and spaces.
fn parse(pid: i32, stat: &str) -> Option<ProcessInfo> {
    let (before, after) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    let mut fields = after.split_whitespace();
    let is_zombie = matches!(fields.next()?, "Z" | "X" | "x");
    let parent = fields.next()?.parse().ok()?;
    // The start time is field 22. The state was field 3, the parent field 4.
    let start = fields.nth(17)?.parse().ok()?;
    Some(ProcessInfo { id: ProcessId { pid, start }, parent, name, is_zombie })
}

/// Sends a signal to exactly this process, even if its pid has been reused.
pub fn send_signal(to: ProcessId, signal: Signal) -> SignalResult {
    let Some(pid) = Pid::from_raw(to.pid) else { return SignalResult::NoProcess };
    let is_same = || find_process(to.pid).is_some_and(|process| process.id == to);
    // An open pidfd refers to the same process forever.
    let sent = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) if is_same() => pidfd_send_signal(process, signal),
        Ok(_) | Err(rustix::io::Errno::SRCH) => return SignalResult::NoProcess,
        // The kernel is too old for pidfds, or no descriptor is left.
        Err(_) if is_same() => kill_process(pid, signal),
        Err(_) => return SignalResult::NoProcess,
    };
    match sent.map_err(io::Error::from) {
        Ok(()) => SignalResult::Sent,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => SignalResult::Refused,
        Err(_) => SignalResult::NoProcess,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_stat_is_parsed_with_any_name() {
        let rest = "S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 5 6 7";
        for name in ["sh", "a b", "x) R 3 (y", "()", "", "naïve"] {
            let process = parse(7, &format!("7 ({name}) {rest}")).unwrap();
            assert_eq!((process.name.as_str(), process.parent, process.id.start), (name, 1, 4711));
            assert!(!process.is_zombie);
        }
        assert!(parse(7, &format!("7 (sh) {}", rest.replacen('S', "Z", 1))).unwrap().is_zombie);
        assert_eq!(parse(7, "7 (sh) S 1"), None);
        assert_eq!(parse(7, ""), None);
    }

    #[test]
    fn descendants_exclude_zombies_and_strangers() {
        let process = |pid, parent, is_zombie| ProcessInfo {
            id: ProcessId { pid, start: 1 },
            parent,
            name: String::new(),
            is_zombie,
        };
        // A zombie's children belong to it until its parent adopts them.
        let table = vec![
            process(5, 4, false),
            process(2, 1, false),
            process(4, 2, true),
            process(3, 2, false),
            process(9, 8, false),
        ];
        let found: Vec<i32> = descendants_in(table, 1).iter().map(|process| process.id.pid).collect();
        assert_eq!(found, [2, 3, 5]);
    }

    #[test]
    fn signal_does_not_reach_a_reused_pid() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let found = find_process(i32::try_from(child.id()).unwrap()).unwrap().id;
        let stranger = ProcessId { start: found.start + 1, ..found };
        assert_eq!(send_signal(stranger, Signal::KILL), SignalResult::NoProcess);
        assert_eq!(child.try_wait().unwrap(), None);
        assert_eq!(send_signal(found, Signal::KILL), SignalResult::Sent);
        assert!(!child.wait().unwrap().success());
        assert_eq!(send_signal(found, Signal::KILL), SignalResult::NoProcess);
    }
}
