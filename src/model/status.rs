//! The status of a run and its transitions (docs/CONTRACT.md, "Run status").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The status of a run, that is, of its current attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The attempt waits for a worker.
    ///
    /// - *Entered* when a run is created (by a person, a program, a schedule or a hook), when a finished run is
    ///   re-run, and when an interrupted run resumes automatically, in the transaction that interrupts it.
    /// - *Left* to `running` when a worker claims it, in the order of [`queue`](super::queue); to `cancelled` when it
    ///   is cancelled, which needs no worker.
    /// - *After a crash* it is still pending: nothing of it was running, and any server claims it from the database.
    Pending,
    /// A worker executes the attempt under a lease, or the run waits for approval and no worker holds it.
    ///
    /// - *Entered* only by a claim: of several workers, one wins the transition from `pending`.
    /// - *Left* when the attempt ends. A cancel request does not change the status; it ends the processes, and then
    ///   the attempt.
    /// - *After a crash* the lease expires, or the next server finds the run if no other one can hold it. The engine
    ///   then ends the attempt as `interrupted`, or as `cancelled` if that was requested or the approval was rejected.
    ///   A run that waits for approval has no lease that could expire: it keeps waiting across restarts.
    Running,
    /// Every phase completed, was skipped, or failed with `continue_on_error`.
    ///
    /// Final for the attempt, and written with its last frames in one transaction. Only a re-run leaves it, to
    /// `pending` with the next attempt; the same holds for the other final statuses.
    Completed,
    /// A phase failed, a limit was exceeded, or the attempt could not be executed. `error` says why.
    ///
    /// A re-run can start over or resume with the phase that failed.
    Failed,
    /// The attempt was cancelled by request or by its concurrency group, or an approval was rejected.
    Cancelled,
    /// The worker was lost, or the server was stopped, before the attempt ended.
    ///
    /// With `on_interrupt = "resume"` the next attempt is queued in the same transaction, so no reader ever sees the
    /// run as finished.
    Interrupted,
}

impl Status {
    /// In the order of a run's life.
    pub const ALL: [Status; 6] =
        [Self::Pending, Self::Running, Self::Completed, Self::Failed, Self::Cancelled, Self::Interrupted];

    /// Whether the run may still write frames without a re-run.
    pub const fn is_active(self) -> bool {
        match self {
            Self::Pending | Self::Running => true,
            Self::Completed | Self::Failed | Self::Cancelled | Self::Interrupted => false,
        }
    }

    /// Whether the attempt has ended. A re-run may follow.
    pub const fn is_finished(self) -> bool {
        !self.is_active()
    }

    /// How the attempt ended; `None` while it is active.
    pub const fn final_status(self) -> Option<FinalStatus> {
        match self {
            Self::Pending | Self::Running => None,
            Self::Completed => Some(FinalStatus::Completed),
            Self::Failed => Some(FinalStatus::Failed),
            Self::Cancelled => Some(FinalStatus::Cancelled),
            Self::Interrupted => Some(FinalStatus::Interrupted),
        }
    }

    /// The word in JSON, the database and `data-status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not a status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a status; use pending, running, completed, failed, cancelled or interrupted")]
pub struct UnknownStatus(pub String);

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.as_str() == word).ok_or_else(|| UnknownStatus(word.to_owned()))
    }
}

/// How an attempt ends: the final values of [`Status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalStatus {
    Completed,
    Failed,
    Cancelled,
    Interrupted,
}

impl FinalStatus {
    pub const ALL: [FinalStatus; 4] = [Self::Completed, Self::Failed, Self::Cancelled, Self::Interrupted];

    pub const fn status(self) -> Status {
        match self {
            Self::Completed => Status::Completed,
            Self::Failed => Status::Failed,
            Self::Cancelled => Status::Cancelled,
            Self::Interrupted => Status::Interrupted,
        }
    }
}

/// A change of a run's status. Only those that docs/CONTRACT.md ("Run status") allows can be expressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// `pending` to `running`: a worker claimed the attempt.
    Claim,
    /// `pending` to `cancelled`: the attempt was cancelled before a worker claimed it.
    CancelPending,
    /// `running` to a final status: the attempt has ended.
    Finish(FinalStatus),
    /// A final status to `pending`: another attempt was requested.
    Queue(FinalStatus),
}

impl Transition {
    /// The status before.
    pub const fn from(self) -> Status {
        match self {
            Self::Claim | Self::CancelPending => Status::Pending,
            Self::Finish(_) => Status::Running,
            Self::Queue(end) => end.status(),
        }
    }

    /// The status after.
    pub const fn to(self) -> Status {
        match self {
            Self::Claim => Status::Running,
            Self::CancelPending => Status::Cancelled,
            Self::Finish(end) => end.status(),
            Self::Queue(_) => Status::Pending,
        }
    }

    pub fn all() -> impl Iterator<Item = Self> {
        let ends = |make: fn(FinalStatus) -> Self| FinalStatus::ALL.into_iter().map(make);
        [Self::Claim, Self::CancelPending].into_iter().chain(ends(Self::Finish)).chain(ends(Self::Queue))
    }
}

#[cfg(test)]
mod tests {
    use super::Status::{self, *};
    use super::Transition;

    /// The transitions of docs/CONTRACT.md, "Run status".
    const ALLOWED: [(Status, Status); 10] = [
        (Pending, Running),
        (Pending, Cancelled),
        (Running, Completed),
        (Running, Failed),
        (Running, Cancelled),
        (Running, Interrupted),
        (Completed, Pending),
        (Failed, Pending),
        (Cancelled, Pending),
        (Interrupted, Pending),
    ];

    #[test]
    fn transitions_are_those_of_the_contract() {
        let moves: Vec<_> = Transition::all().map(|moved| (moved.from(), moved.to())).collect();
        assert_eq!(moves, ALLOWED);
    }

    #[test]
    fn final_status_matches_is_finished() {
        for status in Status::ALL {
            assert_ne!(status.is_active(), status.is_finished());
            assert_eq!(status.is_finished(), status.final_status().is_some());
            assert!(status.final_status().is_none_or(|end| end.status() == status));
        }
    }

    #[test]
    fn status_roundtrips() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).ok(), Some(status.as_str().into()));
        }
        assert!("Running".parse::<Status>().is_err());
    }
}
