//! The conditions of phases on earlier phases: their text. [`plan`](super::plan) evaluates them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::kinds::PhaseState;

/// A condition on earlier phases (`if` in `[[phases]]`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PhaseCondition {
    /// No earlier phase without `continue_on_error` failed.
    Success,
    /// An earlier phase without `continue_on_error` failed.
    Failure,
    Always,
    /// An earlier phase ended in this state.
    Phase(String, PhaseState),
}

/// The text is not a condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no condition; it is success, failure, always, or an earlier phase and what became of it, such as lint.failed"
)]
pub struct InvalidCondition(String);

impl FromStr for PhaseCondition {
    type Err = InvalidCondition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let outcome = |word| match word {
            "completed" => Some(PhaseState::Completed),
            "failed" => Some(PhaseState::Failed),
            "skipped" => Some(PhaseState::Skipped),
            _ => None,
        };
        match (text, text.rsplit_once('.')) {
            ("success", _) => Ok(Self::Success),
            ("failure", _) => Ok(Self::Failure),
            ("always", _) => Ok(Self::Always),
            (_, Some((name, word))) if !name.is_empty() => outcome(word)
                .map(|state| Self::Phase(name.to_owned(), state))
                .ok_or_else(|| InvalidCondition(text.to_owned())),
            _ => Err(InvalidCondition(text.to_owned())),
        }
    }
}

impl TryFrom<String> for PhaseCondition {
    type Error = InvalidCondition;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for PhaseCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => f.write_str("success"),
            Self::Failure => f.write_str("failure"),
            Self::Always => f.write_str("always"),
            Self::Phase(name, state) => write!(f, "{name}.{}", state.as_str()),
        }
    }
}

impl From<PhaseCondition> for String {
    fn from(condition: PhaseCondition) -> Self {
        condition.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn phase_condition_roundtrips() {
        for text in ["success", "failure", "always", "lint.failed", "a-b_1.completed", "x.skipped"] {
            assert_eq!(text.parse::<PhaseCondition>().unwrap().to_string(), text);
        }
        for text in ["", "lint", "lint.", ".failed", "lint.started", "lint.pending", "Success", "lint failed"] {
            assert!(text.parse::<PhaseCondition>().unwrap_err().to_string().contains("no condition"), "{text}");
        }
    }
}
