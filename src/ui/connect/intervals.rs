//! The intervals of polls and heartbeats, as the server wrote them on the page.

use crate::browser::root_data;
use crate::feed::FeedIntervals;

/// Reads the attributes of the page's root element.
pub(super) fn intervals() -> FeedIntervals {
    let read = |name: &str, default: u64| root_data(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let FeedIntervals { poll_ms, heartbeat_ms } = FeedIntervals::default();
    FeedIntervals {
        poll_ms: read("data-poll-ms", poll_ms).max(100),
        heartbeat_ms: read("data-heartbeat-ms", heartbeat_ms).max(100),
    }
}
