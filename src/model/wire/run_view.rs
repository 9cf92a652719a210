//! What the page of a run loads: the run with a part of its journal, and pages of frames.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::attempt::{AttemptSummary, ReviewCounts};
use crate::model::frame::Frame;
use crate::model::run::{Pin, Run};
use crate::model::status::Status;

/// A page of frames (docs/CONTRACT.md, "Runs"). The frames, the head and the status are read in one transaction, the
/// pin and the redraws after them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FramePage {
    /// Frames after the cursor, in order.
    pub frames: Vec<Frame>,
    /// The latest redraws of rows in these frames, if they come after this page.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redraws: Vec<Frame>,
    /// The seq of the journal's last frame.
    pub head: u64,
    pub status: Status,
    /// Whether frames may follow without a re-run.
    pub active: bool,
    /// `pinned` and `pins` in JSON.
    #[serde(flatten)]
    pub pin: Pin,
}

/// The initial data of a run's page: the run and a part of its journal, read in one transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    pub run: Run,
    /// Consecutive frames: the newest ones, or those around `at`. None if the frame in question is too large for a
    /// page.
    pub frames: Vec<Frame>,
    /// The latest redraws of rows in these frames, if they come after them.
    #[serde(default)]
    pub redraws: Vec<Frame>,
    /// The seq that was requested.
    #[serde(default)]
    pub at: Option<u64>,
    #[serde(rename = "tally")]
    pub review_counts: ReviewCounts,
    /// The attempts before the current one, oldest first; only the newest of them if there are many.
    #[serde(default)]
    pub earlier: Vec<AttemptSummary>,
    /// The seq of the `phase` frame that started each phase in this attempt.
    #[serde(default)]
    pub starts: BTreeMap<String, u64>,
}
