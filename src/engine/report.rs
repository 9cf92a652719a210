//! What a command's supervisor reports to the server: a JSON object a line, over the socket that is its pipe.

use serde::{Deserialize, Serialize};

use crate::model::kinds::ProcessName;

/// The most processes that are named: a journal is no process table.
const NAMED: usize = 20;

/// One report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SupervisorReport {
    /// The command could not be started, for this reason.
    NotStarted(String),
    /// The command is not started yet: the system is short of something, as this says.
    Delayed(String),
    /// The command itself has ended. Others that it started may still be there.
    Exited(Exit),
    /// The supervisor got a signal that asks for the end: somebody stops the whole service.
    ServiceSignalled(ServiceSignal),
    /// The command has left these processes behind; they were asked to end.
    LeftBehind(ProcessList),
    /// These processes could not be ended.
    Stuck(ProcessList),
}

/// MountKind a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code; 128 + n if signal n ended it.
    pub code: i32,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// MountKind many processes the kernel has killed for lack of memory, while it ran, in its control group.
    #[serde(default)]
    pub out_of_memory: u64,
}

impl Exit {
    /// The end of a command that ended by itself.
    pub const fn with_code(code: i32) -> Self {
        Self { code, signal: None, out_of_memory: 0 }
    }

    /// The name of the signal that ended it.
    pub fn signal_name(&self) -> Option<String> {
        let number = self.signal?;
        let known = nix::sys::signal::Signal::try_from(number).ok();
        Some(known.map_or_else(|| format!("signal {number}"), |signal| signal.as_str().to_owned()))
    }
}

/// A signal that the supervisor got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSignal {
    /// Its name.
    pub signal: String,
    /// The process that sent it, with its name if it was still there.
    pub by: String,
}

/// Some processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessList {
    /// The first of them.
    pub named: Vec<ProcessName>,
    /// MountKind many there are.
    pub count: usize,
}

impl ProcessList {
    /// Those with these names.
    pub fn of(all: impl ExactSizeIterator<Item = ProcessName>) -> Self {
        Self { count: all.len(), named: all.take(NAMED).collect() }
    }

    /// `sleep (pid 12), sh (pid 13) and 5 more`.
    pub fn listed(&self) -> String {
        let named: Vec<String> =
            self.named.iter().map(|process| format!("{} (pid {})", process.name, process.pid)).collect();
        match self.count - named.len().min(self.count) {
            0 => named.join(", "),
            more => format!("{} and {more} more", named.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_processes_are_counted_and_the_first_are_named() {
        let name = |pid| ProcessName { pid, name: "sh".to_owned() };
        let listed = |count: i32| ProcessList::of((1..=count).map(name).collect::<Vec<_>>().into_iter()).listed();
        assert_eq!(listed(2), "sh (pid 1), sh (pid 2)");
        assert!(listed(25).ends_with("sh (pid 20) and 5 more"));
    }

    #[test]
    fn signals_have_their_names() {
        let name = |signal| Exit { signal: Some(signal), ..Exit::with_code(0) }.signal_name();
        assert_eq!(name(9).as_deref(), Some("SIGKILL"));
        assert_eq!(name(11).as_deref(), Some("SIGSEGV"));
        assert_eq!(name(40).as_deref(), Some("signal 40"));
        assert_eq!(Exit::with_code(137).signal_name(), None);
    }
}
