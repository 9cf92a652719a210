//! What a person looks at besides the lines of a run: its findings and its patches.

use serde::{Deserialize, Serialize};

use super::kinds::{Finding, FixSafety};
use super::view::PatchView;

/// How much there is to look at in a run's current attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewCounts {
    /// Findings.
    pub findings: u64,
    /// Patches.
    pub patches: u64,
}

/// Which findings are wanted. What is empty does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FindingFilter {
    /// Only those of this rule.
    pub rule: String,
    /// Only those of this severity.
    pub severity: String,
    /// Only those in files whose path has this text in it, whatever its case.
    pub path: String,
}

/// The findings of an attempt, in the order of their frames.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FindingPage {
    /// Those that are wanted, up to a number.
    pub findings: Vec<FindingEntry>,
    /// How many are wanted.
    pub total: u64,
    /// Every rule of the attempt with the number of its findings, the most frequent first.
    pub rules: Vec<(String, u64)>,
    /// Every severity of the attempt with the number of its findings, the most frequent first.
    pub severities: Vec<(String, u64)>,
}

/// A finding and where it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FindingEntry {
    /// The seq of its frame.
    pub seq: u64,
    /// The finding.
    pub finding: Finding,
    /// The seq of the patch of its file, if the attempt has one.
    pub patch: Option<u64>,
}

/// A patch in the list of an attempt's patches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatchEntry {
    /// The seq of its frame.
    pub seq: u64,
    /// The file, relative to the project.
    pub path: String,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
    /// `review` if one of its fixes needs a review.
    #[serde(default)]
    pub fix: Option<FixSafety>,
    /// The patch itself, for the first ones: later ones are asked for when they are looked at.
    pub shown: Option<PatchContent>,
}

/// A patch for people to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatchContent {
    /// As lines with numbers and colours.
    View(PatchView),
    /// As it was reported: it is no diff that can be read.
    Text(String),
}
