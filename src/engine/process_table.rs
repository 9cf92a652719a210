//! ProcessList as /proc has them: which descend from this one, and signals that reach no stranger.

use std::collections::HashMap;
use std::io;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

/// A process. Its number alone may belong to another one later; with its start it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks since the system did.
    pub start: u64,
}

/// A process and what is to be known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Which one it is.
    pub id: ProcessId,
    /// The process that started it, or that took it over.
    pub parent: i32,
    /// The name of its program, as the system has it: at most 15 bytes.
    pub name: String,
    /// Whether it has ended, and waits for its parent to ask how.
    pub is_zombie: bool,
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalResult {
    /// It was delivered.
    Sent,
    /// The process has ended.
    NoProcess,
    /// The process belongs to somebody else.
    Refused,
}

/// All descendants of a process that have not ended, oldest generation first. None where there is no /proc.
#[expect(clippy::disallowed_methods, reason = "/proc is the system's own")]
pub fn descendants(of: i32) -> Vec<ProcessInfo> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    descendants_in(pids.filter_map(find_process).collect(), of)
}

/// The same in a table of processes.
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

/// A process by its number.
#[expect(clippy::disallowed_methods, reason = "/proc is the system's own")]
pub fn find_process(pid: i32) -> Option<ProcessInfo> {
    parse(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `/proc/PID/stat`: `pid (name) state ppid …`. The name may hold anything, also parentheses and spaces.
fn parse(pid: i32, stat: &str) -> Option<ProcessInfo> {
    let (before, after) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    let mut fields = after.split_whitespace();
    let is_zombie = matches!(fields.next()?, "Z" | "X" | "x");
    let parent = fields.next()?.parse().ok()?;
    // The start is field 22; the state was field 3, the parent field 4.
    let start = fields.nth(17)?.parse().ok()?;
    Some(ProcessInfo { id: ProcessId { pid, start }, parent, name, is_zombie })
}

/// Sends a signal to exactly this process: its number may have been given to another one since it was looked up.
pub fn send(to: ProcessId, signal: Signal) -> SignalResult {
    let Some(pid) = Pid::from_raw(to.pid) else { return SignalResult::NoProcess };
    let is_same = || find_process(to.pid).is_some_and(|process| process.id == to);
    // What is open stays the process it was when it was opened.
    let sent = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) if is_same() => pidfd_send_signal(process, signal),
        Ok(_) | Err(rustix::io::Errno::SRCH) => return SignalResult::NoProcess,
        // An older system, or no descriptor is left.
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
    fn stat_is_read_whatever_the_name_is() {
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
    fn descendants_are_those_below_and_alive() {
        let process = |pid, parent, is_zombie| ProcessInfo {
            id: ProcessId { pid, start: 1 },
            parent,
            name: String::new(),
            is_zombie,
        };
        // A zombie's children belong to it until its parent takes them over.
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
    fn a_signal_reaches_no_later_process_of_the_same_number() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let found = find_process(i32::try_from(child.id()).unwrap()).unwrap().id;
        let stranger = ProcessId { start: found.start + 1, ..found };
        assert_eq!(send(stranger, Signal::KILL), SignalResult::NoProcess);
        assert_eq!(child.try_wait().unwrap(), None);
        assert_eq!(send(found, Signal::KILL), SignalResult::Sent);
        assert!(!child.wait().unwrap().success());
        assert_eq!(send(found, Signal::KILL), SignalResult::NoProcess);
    }
}
