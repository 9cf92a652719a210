//! Decides which signals end a command's processes, given the current processes and the time. Pure.
//!
//! For SIGTERM, all processes are stopped first (SIGSTOP), pass after pass until a pass finds no new one. Then each
//! gets SIGTERM and continues (SIGCONT). So no process is missed because it was started between two passes, and
//! processes that a SIGTERM handler starts to clean up get no SIGTERM themselves.

use std::time::Duration;

use super::process_table::{ProcessId, ProcessInfo};

/// How long processes that a command left behind may take to end by themselves. One that was about to, such as `tee` in
/// a shell's `>(tee log)`, is not reported as left behind.
pub const SETTLE_TIME: Duration = Duration::from_millis(100);

/// Time between SIGTERM and SIGKILL for processes that a command left behind.
pub const LEFT_BEHIND_GRACE: Duration = Duration::from_millis(500);

/// How long processes of another user may take to end by themselves after SIGKILL was refused: `sudo` ends with the
/// program it runs.
pub const REFUSED_GRACE: Duration = Duration::from_secs(2);

/// How long any process may take to end after SIGKILL. The kernel may be waiting for a disk that is gone.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

/// How often SIGKILL is repeated.
const KILL_INTERVAL: Duration = Duration::from_millis(100);

/// The most passes of SIGSTOP. Some processes cannot be stopped and keep starting others.
const MAX_STOP_PASSES: u32 = 50;

/// A signal to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminationSignal {
    /// SIGSTOP.
    Stop,
    /// SIGTERM.
    Terminate,
    /// SIGCONT.
    Continue,
    /// SIGKILL.
    Kill,
}

/// When to check again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextCheck {
    /// At once.
    Now,
    /// At the next event, and at this time at the latest.
    Until(Duration),
    /// At the next event.
    OnEvent,
    /// Never: all processes have ended, except for these, which cannot be ended.
    Done(Vec<ProcessInfo>),
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminationStep {
    /// The signals to send, in this order.
    pub requests: Vec<(ProcessId, TerminationSignal)>,
    /// Processes that the command left behind and that are ended now.
    pub left_behind: Vec<ProcessInfo>,
    /// When to check again.
    pub next_check: NextCheck,
}

/// The progress of the termination. Times are monotonic.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TerminationState {
    /// The command runs, or the processes that it left behind are kept.
    Running,
    /// The command has exited. Until this time its processes may end by themselves.
    Settling { until: Duration },
    /// All processes are being stopped.
    Stopping { stopped: Vec<ProcessInfo>, passes: u32 },
    /// All processes got SIGTERM.
    Terminating { kill_at: Option<Duration> },
    /// All processes get SIGKILL, since this time.
    Killing { since: Duration },
}

/// The termination of a command's processes.
#[derive(Clone, Debug)]
pub struct Termination {
    state: TerminationState,
    /// The command itself has exited, so other processes are left behind.
    has_ended: bool,
    /// SIGKILL follows after [`LEFT_BEHIND_GRACE`] without a request.
    is_short: bool,
    refused: Vec<ProcessId>,
}

impl Termination {
    /// The state of a running command.
    pub fn new() -> Self {
        Self { state: TerminationState::Running, has_ended: false, is_short: false, refused: Vec::new() }
    }

    /// Records that the command itself has exited. With `keep`, the processes that it left behind run until they are
    /// terminated.
    pub fn command_ended(&mut self, now: Duration, keep: bool) {
        self.has_ended = true;
        if self.state == TerminationState::Running && !keep {
            self.is_short = true;
            self.state = TerminationState::Settling { until: now + SETTLE_TIME };
        }
    }

    /// Starts to send SIGTERM.
    pub fn terminate(&mut self) {
        if !self.needs_processes() {
            self.state = TerminationState::Stopping { stopped: Vec::new(), passes: 0 };
        }
    }

    /// Starts to send SIGKILL.
    pub fn kill(&mut self, now: Duration) {
        if !matches!(self.state, TerminationState::Killing { .. }) {
            self.state = TerminationState::Killing { since: now };
        }
    }

    /// Whether [`Self::next`] needs the list of processes.
    pub fn needs_processes(&self) -> bool {
        !matches!(self.state, TerminationState::Running | TerminationState::Settling { .. })
    }

    /// Records that this process belongs to another user, who alone may signal it.
    pub fn refused(&mut self, process: ProcessId) {
        if !self.refused.contains(&process) {
            self.refused.push(process);
        }
    }

    /// Decides what to do now. `processes` are all that exist; `has_children` says whether there is any to wait for.
    pub fn next(&mut self, now: Duration, processes: &[ProcessInfo], has_children: bool) -> TerminationStep {
        let mut step =
            TerminationStep { requests: Vec::new(), left_behind: Vec::new(), next_check: NextCheck::OnEvent };
        if !has_children {
            step.next_check = NextCheck::Done(Vec::new());
            return step;
        }
        match &mut self.state {
            TerminationState::Running => {}
            TerminationState::Settling { until } if now < *until => step.next_check = NextCheck::Until(*until),
            TerminationState::Settling { .. } => {
                self.terminate();
                step.next_check = NextCheck::Now;
            }
            TerminationState::Stopping { stopped, passes } => {
                let is_new = |process: &&ProcessInfo| !stopped.iter().any(|known| known.id == process.id);
                let new: Vec<ProcessInfo> = processes.iter().filter(is_new).cloned().collect();
                if !new.is_empty() && *passes < MAX_STOP_PASSES {
                    *passes += 1;
                    step.requests = new.iter().map(|process| (process.id, TerminationSignal::Stop)).collect();
                    stopped.extend(new);
                    step.next_check = NextCheck::Now;
                    return step;
                }
                let all = |request| stopped.iter().map(move |process| (process.id, request));
                step.requests = all(TerminationSignal::Terminate).chain(all(TerminationSignal::Continue)).collect();
                if self.has_ended {
                    step.left_behind = std::mem::take(stopped);
                }
                let kill_at = self.is_short.then(|| now + LEFT_BEHIND_GRACE);
                self.state = TerminationState::Terminating { kill_at };
                step.next_check = kill_at.map_or(NextCheck::OnEvent, NextCheck::Until);
            }
            TerminationState::Terminating { kill_at: Some(at) } if *at <= now => {
                self.state = TerminationState::Killing { since: now };
                step.next_check = NextCheck::Now;
            }
            TerminationState::Terminating { kill_at } => {
                step.next_check = kill_at.map_or(NextCheck::OnEvent, NextCheck::Until)
            }
            TerminationState::Killing { since } => {
                let took = now.saturating_sub(*since);
                let is_foreign = |process: &ProcessInfo| self.refused.contains(&process.id);
                let foreign_only = !processes.is_empty() && processes.iter().all(is_foreign);
                if took >= GIVE_UP_AFTER || foreign_only && took >= REFUSED_GRACE {
                    step.next_check = NextCheck::Done(processes.to_vec());
                    return step;
                }
                step.requests = processes.iter().map(|process| (process.id, TerminationSignal::Kill)).collect();
                step.next_check = NextCheck::Until(now + KILL_INTERVAL);
            }
        }
        step
    }
}

#[cfg(test)]
#[path = "termination_tests.rs"]
mod tests;
