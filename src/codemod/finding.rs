//! What rules and linters find in files.

use serde::{Deserialize, Serialize};

use super::edits::Edit;
use crate::model::kinds::FixSafety;

/// A place in a file that a rule or a linter reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// From 1.
    pub line: u64,
    /// From 1, in characters.
    pub column: u64,
    /// The name of the rule.
    pub rule: String,
    pub severity: Severity,
    pub message: String,
    /// The fix: edits that are only made together, in the order of their places. Empty without a fix.
    #[serde(default)]
    pub edits: Vec<Edit>,
    /// Whether the fix needs a review. Ignored without a fix.
    #[serde(default)]
    pub safety: FixSafety,
    /// Whether the fix was dropped because nothing verifies it in this run.
    #[serde(default)]
    pub is_withheld: bool,
}

impl Finding {
    pub fn is_fixable(&self) -> bool {
        !self.edits.is_empty()
    }

    /// Whether a check or a person must verify the fix.
    pub fn needs_review(&self) -> bool {
        self.is_fixable() && self.safety == FixSafety::Review
    }

    /// Drops a fix that needs a review. For runs without a check and without an approval.
    pub fn withhold_unverified(&mut self) {
        if self.needs_review() {
            self.edits.clear();
            self.is_withheld = true;
        }
    }

    /// The safety of the fix, also of one that was dropped; `None` without a fix.
    pub fn fix_safety(&self) -> Option<FixSafety> {
        (self.is_fixable() || self.is_withheld).then_some(self.safety)
    }

    /// Whether both are at the same place with the same message or the same fix.
    pub fn is_same(&self, other: &Self) -> bool {
        let is_same_fix = self.is_fixable() && self.edits == other.edits;
        (self.line, self.column) == (other.line, other.column) && (is_same_fix || self.message == other.message)
    }
}

/// How severe a finding is. In ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Hint,
    Info,
    Warning,
    Error,
}

impl Severity {
    /// The word in frames and parameters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The findings of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFindings {
    /// Relative to the folder that is searched.
    pub path: String,
    /// In the order of their places.
    #[serde(rename = "found")]
    pub findings: Vec<Finding>,
}
