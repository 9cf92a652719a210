//! How phases and attempts end, and the sentences that say why.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::kinds::{Failure, PhaseChange};
use crate::model::{Body, End, PhaseSpec, Transition};
use crate::store::{Change, NewFrame, Write};

/// How a phase ended.
pub(super) enum Ended {
    /// By itself, with this exit code (`None`: something killed it from outside).
    Exited(Option<i32>),
    /// It took longer than it may.
    TimedOut,
    /// It was ended because someone asked for it, or the server stops.
    Stopped,
    /// Its command could not be started.
    NotStarted(std::io::Error),
}

impl Ended {
    pub(super) fn is_good(&self) -> bool {
        matches!(self, Self::Exited(Some(0)))
    }

    pub(super) fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Exited(code) => *code,
            Self::TimedOut | Self::Stopped | Self::NotStarted(_) => None,
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
            Self::Exited(Some(code)) => {
                let message = match said {
                    Some(said) => format!("phase {name} failed: {said}"),
                    None => format!("phase {name} ended with exit code {code}"),
                };
                ("phase_failed", message)
            }
            Self::Exited(None) => ("phase_killed", format!("phase {name} was killed from outside")),
            Self::TimedOut => {
                let limit = Duration::from_millis(spec.timeout_ms.unwrap_or_default());
                ("phase_timeout", format!("phase {name} took longer than {}", humantime::format_duration(limit)))
            }
            Self::NotStarted(error) => ("phase_not_started", format!("phase {name} could not be started: {error}")),
            Self::Stopped => ("phase_stopped", format!("phase {name} was stopped")),
        }
    }
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
    pub(super) fn tell(self, write: &mut Write, outputs: BTreeMap<String, String>) {
        let name = self.change.name.as_str().into();
        write.add_ended_phase(self.change, outputs);
        write.frames.extend(self.failure.map(|failure| NewFrame::now(Some(name), &Body::Error(failure))));
    }
}

/// How the attempt ends, and the sentence that says why.
pub(super) struct Verdict {
    pub(super) to: End,
    pub(super) reason: String,
    pub(super) error: Option<Failure>,
}

impl Verdict {
    /// Makes a write that says how the phases end into one that ends the attempt.
    pub(super) fn finish(self, mut write: Write) -> Write {
        let Self { to, reason, error } = self;
        let message = error.as_ref().map(|error| error.message.clone());
        write.change = Change::Finish { to, error: message, next: None };
        write.frames.extend(error.map(|error| NewFrame::now(None, &Body::Error(error))));
        write.frames.push(NewFrame::status(Transition::Finish(to), reason));
        write
    }
}

pub(super) fn cancelled(by: &str) -> Verdict {
    Verdict { to: End::Cancelled, reason: format!("cancelled by {by}"), error: None }
}

pub(super) fn rejected(by: &str) -> Verdict {
    Verdict { to: End::Cancelled, reason: format!("rejected by {by}"), error: None }
}

pub(super) fn completed() -> Verdict {
    Verdict { to: End::Completed, reason: "every phase completed".to_owned(), error: None }
}

pub(super) fn failed(error: Failure) -> Verdict {
    Verdict { to: End::Failed, reason: error.message.clone(), error: Some(error) }
}
