//! The findings and patches of an attempt, as the review tabs show them.

use serde::{Deserialize, Serialize};

use super::patch_view::PatchView;
pub use crate::model::attempt::ReviewCounts;
use crate::model::kinds::{Finding, FixSafety};

/// Filters of the findings; empty text matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FindingFilter {
    pub rule: String,
    pub severity: String,
    /// A part of the path, whatever its case.
    pub path: String,
}

/// The findings of an attempt, in the order of their frames.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FindingPage {
    /// Those that match, up to a limit.
    pub findings: Vec<FindingEntry>,
    /// How many match.
    pub total: u64,
    /// Every rule of the attempt with the number of its findings, most frequent first.
    pub rules: Vec<(String, u64)>,
    /// Every severity of the attempt with the number of its findings, most frequent first.
    pub severities: Vec<(String, u64)>,
}

/// A finding and its frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FindingEntry {
    pub seq: u64,
    pub finding: Finding,
    /// The seq of the patch of the same file, if the attempt has one.
    pub patch: Option<u64>,
}

/// An entry in the list of an attempt's patches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatchEntry {
    pub seq: u64,
    /// Relative to the project.
    pub path: String,
    pub added: u64,
    pub removed: u64,
    /// `review` if any of its fixes needs a review.
    #[serde(default)]
    pub fix: Option<FixSafety>,
    /// The content of the first patches; the page requests that of others when they are opened.
    pub shown: Option<PatchContent>,
}

/// A patch prepared for display.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatchContent {
    /// Lines with numbers and syntax highlighting.
    View(PatchView),
    /// The reported text, which is not a readable diff.
    Text(String),
}
