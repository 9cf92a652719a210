//! What a supervisor reports to the server: one JSON object per line, over the supervisor pipe.

use serde::{Deserialize, Serialize};

use crate::model::kinds::ProcessName;

/// The most processes that a report names.
const MAX_NAMED_PROCESSES: usize = 20;

/// One report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SupervisorReport {
    /// The command could not be started, for this reason.
    NotStarted(String),
    /// The command is not started yet, since the system lacks resources, as this says.
    #[serde(rename = "waits")]
    Delayed(String),
    /// The command itself has exited. Processes that it started may still be there.
    #[serde(rename = "ended")]
    Exited(Exit),
    /// The supervisor got a signal that asks the whole service to end.
    #[serde(rename = "signalled")]
    ServiceSignalled(ServiceSignal),
    /// The command has left these processes behind, and they got SIGTERM.
    #[serde(rename = "left")]
    LeftBehind(ProcessList),
    /// These processes could not be killed.
    Stuck(ProcessList),
}

/// How a command exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code; 128 + n after signal n.
    pub code: i32,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// How many processes of its control group the kernel has killed for lack of memory while it ran.
    #[serde(default)]
    pub out_of_memory: u64,
}

impl Exit {
    /// An exit without a signal.
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

/// A signal that asks the whole service to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSignal {
    pub signal: String,
    /// The process that sent it, with its name if it still existed.
    pub by: String,
}

/// A list of processes, cut to a bounded length.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessList {
    /// The first of them.
    pub named: Vec<ProcessName>,
    /// How many there are in total.
    pub count: usize,
}

impl ProcessList {
    /// A list of these processes.
    pub fn of(all: impl ExactSizeIterator<Item = ProcessName>) -> Self {
        Self { count: all.len(), named: all.take(MAX_NAMED_PROCESSES).collect() }
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
    fn process_list_names_the_first_and_counts_the_rest() {
        let name = |pid| ProcessName { pid, name: "sh".to_owned() };
        let listed = |count: i32| ProcessList::of((1..=count).map(name).collect::<Vec<_>>().into_iter()).listed();
        assert_eq!(listed(2), "sh (pid 1), sh (pid 2)");
        assert!(listed(25).ends_with("sh (pid 20) and 5 more"));
    }

    #[test]
    fn exit_names_its_signal() {
        let name = |signal| Exit { signal: Some(signal), ..Exit::with_code(0) }.signal_name();
        assert_eq!(name(9).as_deref(), Some("SIGKILL"));
        assert_eq!(name(11).as_deref(), Some("SIGSEGV"));
        assert_eq!(name(40).as_deref(), Some("signal 40"));
        assert_eq!(Exit::with_code(137).signal_name(), None);
    }
}
