//! The status of a run and the only moves between statuses (CONTRACT.md, "Status of a run").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Asked for; no worker has it yet.
    Pending,
    /// One worker holds its lease and carries it out.
    Running,
    /// Every phase ended well.
    Completed,
    /// A phase ended badly, or the run could not be carried out.
    Failed,
    /// A person ended it.
    Cancelled,
    /// Its worker went away before the end.
    Interrupted,
}

impl Status {
    /// Every status, in the order of a run's life.
    pub const ALL: [Status; 6] =
        [Self::Pending, Self::Running, Self::Completed, Self::Failed, Self::Cancelled, Self::Interrupted];

    /// Whether the run may still produce frames by itself.
    pub const fn is_active(self) -> bool {
        match self {
            Self::Pending | Self::Running => true,
            Self::Completed | Self::Failed | Self::Cancelled | Self::Interrupted => false,
        }
    }

    /// Whether the attempt is over. A re-run may follow.
    pub const fn is_finished(self) -> bool {
        !self.is_active()
    }

    /// How the attempt ended, if it is over.
    pub const fn final_status(self) -> Option<FinalStatus> {
        match self {
            Self::Pending | Self::Running => None,
            Self::Completed => Some(FinalStatus::Completed),
            Self::Failed => Some(FinalStatus::Failed),
            Self::Cancelled => Some(FinalStatus::Cancelled),
            Self::Interrupted => Some(FinalStatus::Interrupted),
        }
    }

    /// The word as the API, the database and the page's hooks have it.
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

/// The text is none of the six words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no status; it is one of pending, running, completed, failed, cancelled, interrupted")]
pub struct UnknownStatus(pub String);

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.as_str() == word).ok_or_else(|| UnknownStatus(word.to_owned()))
    }
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalStatus {
    /// Every phase ended well.
    Completed,
    /// A phase ended badly, or the run could not be carried out.
    Failed,
    /// A person ended it.
    Cancelled,
    /// Its worker went away before the end.
    Interrupted,
}

impl FinalStatus {
    /// Every end.
    pub const ALL: [FinalStatus; 4] = [Self::Completed, Self::Failed, Self::Cancelled, Self::Interrupted];

    /// The status of a run that ended so.
    pub const fn status(self) -> Status {
        match self {
            Self::Completed => Status::Completed,
            Self::Failed => Status::Failed,
            Self::Cancelled => Status::Cancelled,
            Self::Interrupted => Status::Interrupted,
        }
    }
}

/// A move from one status to another. Only those of the contract can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// `pending` to `running`: a worker has won it.
    Claim,
    /// `pending` to `cancelled`: nobody wants it any more.
    CancelPending,
    /// `running` to the end of the attempt.
    Finish(FinalStatus),
    /// From the end of an attempt to `pending`: another one is asked for.
    Queue(FinalStatus),
}

impl Transition {
    /// Where it leads from.
    pub const fn from(self) -> Status {
        match self {
            Self::Claim | Self::CancelPending => Status::Pending,
            Self::Finish(_) => Status::Running,
            Self::Queue(end) => end.status(),
        }
    }

    /// Where it leads to.
    pub const fn to(self) -> Status {
        match self {
            Self::Claim => Status::Running,
            Self::CancelPending => Status::Cancelled,
            Self::Finish(end) => end.status(),
            Self::Queue(_) => Status::Pending,
        }
    }

    /// Every transition.
    pub fn all() -> impl Iterator<Item = Self> {
        let ends = |make: fn(FinalStatus) -> Self| FinalStatus::ALL.into_iter().map(make);
        [Self::Claim, Self::CancelPending].into_iter().chain(ends(Self::Finish)).chain(ends(Self::Queue))
    }
}

#[cfg(test)]
mod tests {
    use super::Status::{self, *};
    use super::Transition;

    /// The contract's sentence, pair by pair.
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
    fn only_the_contracts_moves_are_possible() {
        let moves: Vec<_> = Transition::all().map(|moved| (moved.from(), moved.to())).collect();
        assert_eq!(moves, ALLOWED);
    }

    #[test]
    fn a_finished_run_only_goes_back_to_pending() {
        for status in Status::ALL {
            assert_ne!(status.is_active(), status.is_finished());
            assert_eq!(status.is_finished(), status.final_status().is_some());
            assert!(status.final_status().is_none_or(|end| end.status() == status));
        }
    }

    #[test]
    fn every_word_reads_back() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).ok(), Some(status.as_str().into()));
        }
        assert!("Running".parse::<Status>().is_err());
    }
}
