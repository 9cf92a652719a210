//! How the processes of a command are ended: which signals to send next, given those that are there and the time. Pure.
//!
//! To ask all of them, they are stopped first (SIGSTOP), pass after pass until a pass finds no new one; then each gets SIGTERM
//! and goes on (SIGCONT). So none is missed because it was started between two looks, and none that a handler of SIGTERM
//! starts to clean up is ended by the request that it answers.

use std::time::Duration;

use super::process_table::{ProcessId, ProcessInfo};

/// How long processes that a command has left behind may take to end by themselves: one that was about to, such as `tee` behind a
/// shell's `>(tee log)`, is not left behind.
pub const SETTLE: Duration = Duration::from_millis(100);

/// How long processes that a command has left behind may take to end, once they were asked to.
pub const LEFT_BEHIND_GRACE: Duration = Duration::from_millis(500);

/// How long processes of somebody else may take to end by themselves after SIGKILL was refused: `sudo` ends with what it runs.
pub const REFUSED_GRACE: Duration = Duration::from_secs(2);

/// How long any process may take to end after SIGKILL: the system itself may be busy with it, as with a disk that is gone.
pub const GIVE_UP: Duration = Duration::from_secs(10);

/// How often SIGKILL is sent again.
const AGAIN: Duration = Duration::from_millis(100);

/// How many passes stop processes at the most: some cannot be stopped and go on starting others.
const PASSES: u32 = 50;

/// A signal to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
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
pub enum Then {
    /// At once.
    Now,
    /// When something happens, and at this time at the latest.
    Until(Duration),
    /// When something happens.
    Wait,
    /// Never: all have ended, but for these, which cannot be ended.
    Done(Vec<ProcessInfo>),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Signals to send, in this order.
    pub requests: Vec<(ProcessId, Request)>,
    /// Processes that the command has left behind, and that are ended now.
    pub left: Vec<ProcessInfo>,
    /// When to look again.
    pub then: Then,
}

/// How far the end is. Times are those of a clock that never goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mode {
    /// The command runs, or what it has left is kept.
    Running,
    /// The command has ended; until this time, what it has left may end by itself.
    Settling { until: Duration },
    /// All are stopped.
    Stopping { stopped: Vec<ProcessInfo>, passes: u32 },
    /// All were asked to end.
    Asked { kill_at: Option<Duration> },
    /// All are killed, since this time.
    Killing { since: Duration },
}

/// The end of a command's processes.
#[derive(Clone, Debug)]
pub struct Ending {
    mode: Mode,
    /// The command itself has ended, so the others are left behind.
    has_ended: bool,
    /// Killed after [`LEFT_BEHIND_GRACE`], and not when somebody says so.
    hurry: bool,
    refused: Vec<ProcessId>,
}

impl Ending {
    /// A command that runs.
    pub fn new() -> Self {
        Self { mode: Mode::Running, has_ended: false, hurry: false, refused: Vec::new() }
    }

    /// The command itself has ended; `keep` what it left behind until somebody asks for the end.
    pub fn command_ended(&mut self, now: Duration, keep: bool) {
        self.has_ended = true;
        if self.mode == Mode::Running && !keep {
            self.hurry = true;
            self.mode = Mode::Settling { until: now + SETTLE };
        }
    }

    /// Somebody asks for the end.
    pub fn terminate(&mut self) {
        if !self.needs_processes() {
            self.mode = Mode::Stopping { stopped: Vec::new(), passes: 0 };
        }
    }

    /// Everything is to end now.
    pub fn kill(&mut self, now: Duration) {
        if !matches!(self.mode, Mode::Killing { .. }) {
            self.mode = Mode::Killing { since: now };
        }
    }

    /// Whether [`Self::next`] needs to know the processes.
    pub fn needs_processes(&self) -> bool {
        !matches!(self.mode, Mode::Running | Mode::Settling { .. })
    }

    /// Nobody but its owner may signal this process.
    pub fn refused(&mut self, process: ProcessId) {
        if !self.refused.contains(&process) {
            self.refused.push(process);
        }
    }

    /// What to do now. `processes`: all that are there; `has_children`: whether any is left to wait for.
    pub fn next(&mut self, now: Duration, processes: &[ProcessInfo], has_children: bool) -> Step {
        let mut step = Step { requests: Vec::new(), left: Vec::new(), then: Then::Wait };
        if !has_children {
            step.then = Then::Done(Vec::new());
            return step;
        }
        match &mut self.mode {
            Mode::Running => {}
            Mode::Settling { until } if now < *until => step.then = Then::Until(*until),
            Mode::Settling { .. } => {
                self.terminate();
                step.then = Then::Now;
            }
            Mode::Stopping { stopped, passes } => {
                let is_new = |process: &&ProcessInfo| !stopped.iter().any(|known| known.id == process.id);
                let new: Vec<ProcessInfo> = processes.iter().filter(is_new).cloned().collect();
                if !new.is_empty() && *passes < PASSES {
                    *passes += 1;
                    step.requests = new.iter().map(|process| (process.id, Request::Stop)).collect();
                    stopped.extend(new);
                    step.then = Then::Now;
                    return step;
                }
                let all = |request| stopped.iter().map(move |process| (process.id, request));
                step.requests = all(Request::Terminate).chain(all(Request::Continue)).collect();
                if self.has_ended {
                    step.left = std::mem::take(stopped);
                }
                let kill_at = self.hurry.then(|| now + LEFT_BEHIND_GRACE);
                self.mode = Mode::Asked { kill_at };
                step.then = kill_at.map_or(Then::Wait, Then::Until);
            }
            Mode::Asked { kill_at: Some(at) } if *at <= now => {
                self.mode = Mode::Killing { since: now };
                step.then = Then::Now;
            }
            Mode::Asked { kill_at } => step.then = kill_at.map_or(Then::Wait, Then::Until),
            Mode::Killing { since } => {
                let took = now.saturating_sub(*since);
                let is_foreign = |process: &ProcessInfo| self.refused.contains(&process.id);
                let foreign_only = !processes.is_empty() && processes.iter().all(is_foreign);
                if took >= GIVE_UP || foreign_only && took >= REFUSED_GRACE {
                    step.then = Then::Done(processes.to_vec());
                    return step;
                }
                step.requests = processes.iter().map(|process| (process.id, Request::Kill)).collect();
                step.then = Then::Until(now + AGAIN);
            }
        }
        step
    }
}

#[cfg(test)]
#[path = "ending_tests.rs"]
mod tests;
