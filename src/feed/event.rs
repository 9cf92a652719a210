//! The one event by which a page learns about a run or the run list. The stream, the channel between tabs and polls all
//! produce it.

use serde::{Deserialize, Serialize};

use crate::model::{Pin, RunId};

/// What a page subscribes to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// The frames of a run.
    Run(RunId),
    /// The changes of the run list.
    List,
}

/// What a source says about a topic. For the list, seqs are 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedEvent {
    /// The stream carries the topic. Its next frame is the one after `after`; frames up to there must be polled for.
    Opened {
        after: u64,
        head: u64,
        /// Whether the run may write more frames.
        is_active: bool,
    },
    /// The next frames, as JSON that is not parsed yet. On the channel they follow the message, one per line.
    Frames {
        #[serde(skip)]
        frames: Vec<String>,
    },
    /// There are frames up to `head` that are not relayed. Poll for them.
    Gap { head: u64 },
    /// The stream is alive, and this is the run's head.
    Alive { head: u64 },
    /// A changed or deleted run of the list, as JSON.
    Listed { run: String },
    /// The run is final and all of its frames were delivered, or it was deleted.
    Ended,
    /// The stream is lost. The leader tab opens another one.
    Lost,
    /// A poll was answered; the frames it returned come before this event.
    #[serde(skip)]
    Polled { head: u64, is_active: bool, pin: Pin },
    /// A poll failed.
    #[serde(skip)]
    PollFailed(PollError),
}

/// Why a poll returned no frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollError {
    /// The cursor is ahead of the server's journal: the page shows another history.
    CursorAhead,
    RunNotFound,
    /// The server did not answer, or asked to be left alone for that long.
    Unavailable {
        retry_after_ms: u64,
    },
}

/// Events of one moment, each with its topic: one message on the channel. At most one of them has frames.
pub type FeedBatch = Vec<(Topic, FeedEvent)>;

impl FeedEvent {
    /// Whether it comes from a poll, and not from the stream.
    pub const fn is_from_poll(&self) -> bool {
        matches!(self, Self::Polled { .. } | Self::PollFailed(_))
    }

    /// How many frames it carries.
    pub const fn frame_count(&self) -> usize {
        match self {
            Self::Frames { frames } => frames.len(),
            _ => 0,
        }
    }
}

/// What happens to the page as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageEvent {
    /// The page became visible, has the focus, or was unfrozen.
    Visible,
    Hidden,
    /// The page is being left. The browser may keep it for a return.
    Left,
    /// The page was kept by the browser and is shown again.
    Returned,
    /// The browser has network again.
    Online,
    /// The browser has no network.
    Offline,
    /// The part of the address after `#` changed.
    Hash,
}
