//! How phases and attempts end, and the sentences that say why.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::report::{Exit, Signalled};
use crate::model::kinds::{Failure, PhaseChange};
use crate::model::limits::Limit;
use crate::model::{FinalStatus, FramePayload, PhaseSpec, Transition};
use crate::store::{FinishAttempt, LeaseHolder, NewFrame, RunWrite};

/// How a phase ended.
pub(super) enum Ended {
    /// By itself (`None`: something killed its supervisor from outside).
    Exited(Option<Exit>),
    /// The whole service was sent a signal that asks it to end.
    Signalled(Signalled),
    /// It took longer than it may.
    TimedOut,
    /// Its attempt has reached this limit: a sentence says so.
    Limited(Limit, String),
    /// It was ended because someone asked for it, or the server stops.
    Stopped,
    /// Its command could not be started.
    NotStarted(std::io::Error),
}

impl Ended {
    pub(super) fn is_good(&self) -> bool {
        self.exit_code() == Some(0)
    }

    pub(super) fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Exited(exit) => exit.map(|exit| exit.code),
            Self::Signalled(_) | Self::TimedOut | Self::Limited(..) | Self::Stopped | Self::NotStarted(_) => None,
        }
    }

    /// The signal that ended it, by name.
    pub(super) fn signal(&self) -> Option<String> {
        match self {
            Self::Exited(exit) => exit.as_ref().and_then(Exit::signal_name),
            Self::Signalled(_) | Self::TimedOut | Self::Limited(..) | Self::Stopped | Self::NotStarted(_) => None,
        }
    }

    /// Why the phase failed: with the last error that it reported itself.
    pub(super) fn failure(&self, spec: &PhaseSpec, said: Option<&str>) -> Failure {
        let (code, message) = self.reason(spec, said);
        Failure { code: code.to_owned(), message, retryable: false }
    }

    /// The same as a word for programs and a sentence.
    fn reason(&self, spec: &PhaseSpec, said: Option<&str>) -> (&'static str, String) {
        let name = &spec.name;
        match self {
            Self::Exited(Some(exit)) => exited(name, exit, said),
            Self::Signalled(signalled) => ("phase_stopped", format!("phase {name}: {}", stopped_by(signalled))),
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

/// Why a phase failed whose command ended like this.
fn exited(name: &str, exit: &Exit, said: Option<&str>) -> (&'static str, String) {
    let (code, mut message) = match (exit.signal_name(), said) {
        (Some(signal), _) => {
            let code = if exit.out_of_memory > 0 && exit.signal == Some(Signal::SIGKILL as i32) {
                "phase_out_of_memory"
            } else {
                "phase_signal"
            };
            let cause = cause(exit);
            (code, format!("phase {name} was ended by {signal} ({}){cause}", exit.code))
        }
        (None, Some(said)) => ("phase_failed", format!("phase {name} failed: {said}")),
        (None, None) => {
            let hint = match exit.code {
                127 => ": the shell did not find a command, which its last lines name",
                126 => ": the shell could not run a command, which its last lines name",
                _ => "",
            };
            ("phase_failed", format!("phase {name} ended with exit code {}{hint}", exit.code))
        }
    };
    if exit.signal.is_some()
        && let Some(said) = said
    {
        message += &format!("; it reported before: {said}");
    }
    if exit.signal.is_none() && exit.out_of_memory > 0 {
        message += "; while it ran, the kernel killed a process for lack of memory";
    }
    (code, message)
}

/// What likely caused the signal that ended a command.
fn cause(exit: &Exit) -> &'static str {
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

fn stopped_by(signalled: &Signalled) -> String {
    let Signalled { signal, by } = signalled;
    format!("the service was sent {signal} by {by}")
}

/// What the attempt's last write says.
pub(super) struct Finished<'a> {
    pub(super) verdict: Verdict,
    /// The phase that ended it.
    pub(super) end: Option<PhaseEnd>,
    /// The phases that do not run.
    pub(super) rest: &'a [PhaseSpec],
}

/// What became of a phase that has run.
pub(super) struct PhaseEnd {
    pub(super) change: PhaseChange,
    /// Why it failed, if the attempt's end does not say it.
    pub(super) failure: Option<Failure>,
}

impl PhaseEnd {
    /// Says it, right after each other: who is asked later for the reason looks there ([`Worker::failed_before`]).
    ///
    /// [`Worker::failed_before`]: super::worker::Worker
    pub(super) fn tell(self, write: &mut RunWrite, outputs: BTreeMap<String, String>) {
        let name = self.change.name.as_str().into();
        write.add_ended_phase(self.change, outputs);
        write.frames.extend(self.failure.map(|failure| NewFrame::now(Some(name), &FramePayload::Error(failure))));
    }
}

/// How the attempt ends, and the sentence that says why.
pub(super) struct Verdict {
    pub(super) to: FinalStatus,
    pub(super) reason: String,
    pub(super) error: Option<Failure>,
}

impl Verdict {
    /// Makes a write that says how the phases end into one that ends the attempt.
    pub(super) fn finish(self, holder: LeaseHolder, mut write: RunWrite) -> RunWrite {
        let Self { to, reason, error } = self;
        let message = error.as_ref().map(|error| error.message.clone());
        write.command = FinishAttempt { holder, to, error: message, next: None }.into();
        write.frames.extend(error.map(|error| NewFrame::now(None, &FramePayload::Error(error))));
        write.frames.push(NewFrame::status(Transition::Finish(to), reason));
        write
    }
}

pub(super) fn cancelled(by: &str) -> Verdict {
    Verdict { to: FinalStatus::Cancelled, reason: format!("cancelled by {by}"), error: None }
}

/// The attempt is interrupted, since the whole service was sent a signal.
pub(super) fn service_signalled(signalled: &Signalled) -> Verdict {
    Verdict { to: FinalStatus::Interrupted, reason: stopped_by(signalled), error: None }
}

pub(super) fn rejected(by: &str) -> Verdict {
    Verdict { to: FinalStatus::Cancelled, reason: format!("rejected by {by}"), error: None }
}

pub(super) fn completed() -> Verdict {
    Verdict { to: FinalStatus::Completed, reason: "every phase completed".to_owned(), error: None }
}

pub(super) fn failed(error: Failure) -> Verdict {
    Verdict { to: FinalStatus::Failed, reason: error.message.clone(), error: Some(error) }
}
