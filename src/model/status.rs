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

    /// Whether a run may go from here to `to`. No other change is possible.
    pub const fn may_become(self, to: Status) -> bool {
        match self {
            Self::Pending => matches!(to, Self::Running | Self::Cancelled),
            Self::Running => matches!(to, Self::Completed | Self::Failed | Self::Cancelled | Self::Interrupted),
            Self::Completed | Self::Failed | Self::Cancelled | Self::Interrupted => matches!(to, Self::Pending),
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

#[cfg(test)]
mod tests {
    use super::Status::{self, *};

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
        for from in Status::ALL {
            for to in Status::ALL {
                assert_eq!(from.may_become(to), ALLOWED.contains(&(from, to)), "{from} to {to}");
            }
        }
    }

    #[test]
    fn a_finished_run_only_goes_back_to_pending() {
        for status in Status::ALL {
            assert_ne!(status.is_active(), status.is_finished());
            assert_eq!(status.is_finished(), status.may_become(Pending));
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
