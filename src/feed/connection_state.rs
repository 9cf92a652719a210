//! What the server says about its intervals, and what the page says about its connection.

/// The intervals that the server writes on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedIntervals {
    pub poll_ms: u64,
    /// The server sends a heartbeat after this much silence.
    pub heartbeat_ms: u64,
}

impl FeedIntervals {
    /// How long a live stream may be silent: two and a half heartbeats, and time for a slow network.
    pub fn max_silence_ms(&self) -> u64 {
        (self.heartbeat_ms * 5 / 2).max(self.heartbeat_ms + 2000)
    }
}

impl Default for FeedIntervals {
    fn default() -> Self {
        Self { poll_ms: 3000, heartbeat_ms: 15_000 }
    }
}

/// How the page is connected: the chip's `data-state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// The first stream is being opened.
    Connecting,
    /// The stream delivers.
    Live,
    /// Neither the stream nor polls are answered.
    Retrying,
    /// The stream is lost, polls are answered.
    Polling,
    /// The run is final and all of its frames are here.
    Ended,
    /// The browser has no network, and a failed poll has confirmed it.
    Offline,
}

impl ConnectionState {
    /// The word in `data-state`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Retrying => "retrying",
            Self::Polling => "polling",
            Self::Ended => "ended",
            Self::Offline => "offline",
        }
    }

    /// Whether the page is up to date, as far as it knows.
    pub const fn is_connected(self) -> bool {
        matches!(self, Self::Live | Self::Polling | Self::Ended)
    }
}
