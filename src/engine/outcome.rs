//! How commands and attempts end, and the sentences that say why.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::command::report::{Exit, ServiceSignal};
use crate::model::kinds::{Failure, PhaseChange};
use crate::model::limits::Limit;
use crate::model::{FinalStatus, FramePayload, PhaseSpec, Transition};
use crate::store::{FinishAttempt, LeaseHolder, NewFrame, RunWrite};

/// How a phase's command ended.
pub(super) enum CommandOutcome {
    /// By itself. `None` if its supervisor was killed from outside.
    Exited(Option<Exit>),
    /// The whole service got a signal that asks it to end.
    ServiceSignalled(ServiceSignal),
    /// It exceeded its time limit.
    TimedOut,
    /// Its attempt reached this limit. The sentence says so.
    Limited(Limit, String),
    /// It was ended because the run was cancelled or the server stops.
    Stopped,
    /// Its command could not be started.
    NotStarted(std::io::Error),
}

impl CommandOutcome {
    pub(super) fn is_success(&self) -> bool {
        self.exit_code() == Some(0)
    }

    /// Whether the outcome ends the attempt, so that no retry and no later phase runs.
    pub(super) fn ends_attempt(&self) -> bool {
        matches!(self, Self::Stopped | Self::ServiceSignalled(_) | Self::Limited(..))
    }

    pub(super) fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Exited(exit) => exit.map(|exit| exit.code),
            Self::ServiceSignalled(_) | Self::TimedOut | Self::Limited(..) | Self::Stopped | Self::NotStarted(_) => {
                None
            }
        }
    }

    /// The name of the signal that ended the command.
    pub(super) fn signal(&self) -> Option<String> {
        match self {
            Self::Exited(exit) => exit.as_ref().and_then(Exit::signal_name),
            Self::ServiceSignalled(_) | Self::TimedOut | Self::Limited(..) | Self::Stopped | Self::NotStarted(_) => {
                None
            }
        }
    }

    /// Why the phase failed. `reported_error` is the last error that the command reported.
    pub(super) fn failure(&self, spec: &PhaseSpec, reported_error: Option<&str>) -> Failure {
        let (code, message) = self.reason(spec, reported_error);
        Failure { code: code.to_owned(), message, retryable: false }
    }

    /// The failure's code and message.
    fn reason(&self, spec: &PhaseSpec, reported_error: Option<&str>) -> (&'static str, String) {
        let name = &spec.name;
        match self {
            Self::Exited(Some(exit)) => describe_exit(name, exit, reported_error),
            Self::ServiceSignalled(signalled) => ("phase_stopped", format!("phase {name}: {}", stopped_by(signalled))),
            Self::Exited(None) => ("phase_killed", format!("phase {name} was killed from outside")),
            Self::TimedOut => {
                let limit = Duration::from_millis(spec.timeout_ms.unwrap_or_default());
                ("phase_timeout", format!("phase {name} took longer than {}", humantime::format_duration(limit)))
            }
            Self::Limited(limit, sentence) => (limit.code(), format!("phase {name} was ended: {sentence}")),
            Self::NotStarted(error) => ("phase_not_started", format!("phase {name} could not be started: {error}")),
            Self::Stopped => ("phase_stopped", format!("phase {name} was stopped")),
        }
    }
}

/// Why a phase failed whose command exited like this.
fn describe_exit(name: &str, exit: &Exit, reported_error: Option<&str>) -> (&'static str, String) {
    let (code, mut message) = match (exit.signal_name(), reported_error) {
        (Some(signal), _) => {
            let code = if exit.out_of_memory > 0 && exit.signal == Some(Signal::SIGKILL as i32) {
                "phase_out_of_memory"
            } else {
                "phase_signal"
            };
            let cause = likely_cause(exit);
            (code, format!("phase {name} was ended by {signal} ({}){cause}", exit.code))
        }
        (None, Some(reported_error)) => ("phase_failed", format!("phase {name} failed: {reported_error}")),
        (None, None) => {
            let hint = match exit.code {
                127 => ": the shell did not find a command, which its last lines name",
                126 => ": the shell could not run a command, which its last lines name",
                _ => "",
            };
            ("phase_failed", format!("phase {name} failed with exit code {}{hint}", exit.code))
        }
    };
    if exit.signal.is_some()
        && let Some(reported_error) = reported_error
    {
        message += &format!("; it reported before: {reported_error}");
    }
    if exit.signal.is_none() && exit.out_of_memory > 0 {
        message += "; while it ran, the kernel killed a process for lack of memory";
    }
    (code, message)
}

/// The likely cause of the signal that ended a command.
fn likely_cause(exit: &Exit) -> &'static str {
    match exit.signal.and_then(|signal| Signal::try_from(signal).ok()) {
        Some(Signal::SIGKILL) if exit.out_of_memory > 0 => ": out of memory, the kernel killed it",
        Some(Signal::SIGKILL) => "; often: out of memory, or somebody killed it",
        Some(
            Signal::SIGSEGV | Signal::SIGBUS | Signal::SIGILL | Signal::SIGFPE | Signal::SIGABRT | Signal::SIGTRAP,
        ) => ": it crashed",
        Some(Signal::SIGSYS) => ": it made a system call that is forbidden to it",
        Some(Signal::SIGTERM | Signal::SIGINT | Signal::SIGHUP | Signal::SIGQUIT) => "; something asked it to end",
        Some(Signal::SIGPIPE) => ": it wrote to a program that had ended",
        Some(Signal::SIGXCPU) => ": it used more processor time than `ulimit -t` allows",
        Some(Signal::SIGXFSZ) => ": it wrote a larger file than `ulimit -f` allows",
        _ => "",
    }
}

fn stopped_by(signal: &ServiceSignal) -> String {
    let ServiceSignal { signal, by } = signal;
    format!("the service was sent {signal} by {by}")
}

/// The content of an attempt's final write.
pub(super) struct FinalWrite<'a> {
    pub(super) outcome: AttemptOutcome,
    /// The last phase that ran, if its end is not journaled yet.
    pub(super) phase: Option<PhaseResult>,
    /// The phases that do not run any more.
    pub(super) rest: &'a [PhaseSpec],
}

/// The end of one phase.
pub(super) struct PhaseResult {
    pub(super) change: PhaseChange,
    /// Why it failed. `None` if the attempt's outcome says the same.
    pub(super) failure: Option<Failure>,
}

impl PhaseResult {
    /// Writes the phase frame and its error frame adjacently; `failed_before` reads the frame after the phase's last
    /// seq.
    pub(super) fn add_to(self, write: &mut RunWrite, outputs: BTreeMap<String, String>) {
        let name = self.change.name.as_str().into();
        write.add_ended_phase(self.change, outputs);
        write.frames.extend(self.failure.map(|failure| NewFrame::now(Some(name), &FramePayload::Error(failure))));
    }
}

/// How an attempt ends, and why.
pub(super) struct AttemptOutcome {
    pub(super) to: FinalStatus,
    pub(super) reason: String,
    pub(super) error: Option<Failure>,
}

impl AttemptOutcome {
    /// Turns a write with the ends of phases into the final write of the attempt.
    pub(super) fn finish(self, holder: LeaseHolder, mut write: RunWrite) -> RunWrite {
        let Self { to, reason, error } = self;
        let message = error.as_ref().map(|error| error.message.clone());
        write.command = FinishAttempt { holder, to, error: message, next: None }.into();
        write.frames.extend(error.map(|error| NewFrame::now(None, &FramePayload::Error(error))));
        write.frames.push(NewFrame::status(Transition::Finish(to), reason));
        write
    }

    pub(super) fn cancelled(by: &str) -> Self {
        Self { to: FinalStatus::Cancelled, reason: format!("cancelled by {by}"), error: None }
    }

    /// The attempt is interrupted: the whole service got a signal.
    pub(super) fn service_signalled(signal: &ServiceSignal) -> Self {
        Self { to: FinalStatus::Interrupted, reason: stopped_by(signal), error: None }
    }

    pub(super) fn rejected(by: &str) -> Self {
        Self { to: FinalStatus::Cancelled, reason: format!("rejected by {by}"), error: None }
    }

    pub(super) fn completed() -> Self {
        Self { to: FinalStatus::Completed, reason: "completed".to_owned(), error: None }
    }

    pub(super) fn failed(error: Failure) -> Self {
        Self { to: FinalStatus::Failed, reason: error.message.clone(), error: Some(error) }
    }
}
