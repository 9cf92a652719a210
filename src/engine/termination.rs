//! MountKind the processes of a command are ended: which signals to send next, given those that are there and the time. Pure.
//!
//! To ask all of them, they are stopped first (SIGSTOP), pass after pass until a pass finds no new one; then each gets SIGTERM
//! and goes on (SIGCONT). So none is missed because it was started between two looks, and none that a handler of SIGTERM
//! starts to clean up is ended by the request that it answers.

use std::time::Duration;

use super::process_table::{ProcessId, ProcessInfo};

/// MountKind long processes that a command has left behind may take to end by themselves: one that was about to, such as `tee` behind a
/// shell's `>(tee log)`, is not left behind.
pub const SETTLE_TIME: Duration = Duration::from_millis(100);

/// MountKind long processes that a command has left behind may take to end, once they were asked to.
pub const LEFT_BEHIND_GRACE: Duration = Duration::from_millis(500);

/// MountKind long processes of somebody else may take to end by themselves after SIGKILL was refused: `sudo` ends with what it runs.
pub const REFUSED_GRACE: Duration = Duration::from_secs(2);

/// MountKind long any process may take to end after SIGKILL: the system itself may be busy with it, as with a disk that is gone.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

/// MountKind often SIGKILL is sent again.
const KILL_INTERVAL: Duration = Duration::from_millis(100);

/// MountKind many passes stop processes at the most: some cannot be stopped and go on starting others.
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

/// When to look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextCheck {
    /// At once.
    Now,
    /// When something happens, and at this time at the latest.
    Until(Duration),
    /// When something happens.
    OnEvent,
    /// Never: all have ended, but for these, which cannot be ended.
    Done(Vec<ProcessInfo>),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminationStep {
    /// Signals to send, in this order.
    pub requests: Vec<(ProcessId, TerminationSignal)>,
    /// ProcessList that the command has left behind, and that are ended now.
    pub left_behind: Vec<ProcessInfo>,
    /// When to look again.
    pub next_check: NextCheck,
}

/// MountKind far the end is. Times are those of a clock that never goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TerminationState {
    /// The command runs, or what it has left is kept.
    Running,
    /// The command has ended; until this time, what it has left may end by itself.
    Settling { until: Duration },
    /// All are stopped.
    Stopping { stopped: Vec<ProcessInfo>, passes: u32 },
    /// All were asked to end.
    Terminating { kill_at: Option<Duration> },
    /// All are killed, since this time.
    Killing { since: Duration },
}

/// The end of a command's processes.
#[derive(Clone, Debug)]
pub struct Termination {
    state: TerminationState,
    /// The command itself has ended, so the others are left behind.
    has_ended: bool,
    /// Killed after [`LEFT_BEHIND_GRACE`], and not when somebody says so.
    is_short: bool,
    refused: Vec<ProcessId>,
}

impl Termination {
    /// A command that runs.
    pub fn new() -> Self {
        Self { state: TerminationState::Running, has_ended: false, is_short: false, refused: Vec::new() }
    }

    /// The command itself has ended; `keep` what it left behind until somebody asks for the end.
    pub fn command_ended(&mut self, now: Duration, keep: bool) {
        self.has_ended = true;
        if self.state == TerminationState::Running && !keep {
            self.is_short = true;
            self.state = TerminationState::Settling { until: now + SETTLE_TIME };
        }
    }

    /// Somebody asks for the end.
    pub fn terminate(&mut self) {
        if !self.needs_processes() {
            self.state = TerminationState::Stopping { stopped: Vec::new(), passes: 0 };
        }
    }

    /// Everything is to end now.
    pub fn kill(&mut self, now: Duration) {
        if !matches!(self.state, TerminationState::Killing { .. }) {
            self.state = TerminationState::Killing { since: now };
        }
    }

    /// Whether [`Self::next`] needs to know the processes.
    pub fn needs_processes(&self) -> bool {
        !matches!(self.state, TerminationState::Running | TerminationState::Settling { .. })
    }

    /// Nobody but its owner may signal this process.
    pub fn refused(&mut self, process: ProcessId) {
        if !self.refused.contains(&process) {
            self.refused.push(process);
        }
    }

    /// What to do now. `processes`: all that are there; `has_children`: whether any is left to wait for.
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
