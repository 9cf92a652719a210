//! What goes into the leader's stream, and what comes out of it.

use crate::feed::event::FeedBatch;
use crate::model::sse::SseEvent;

/// What the response of `GET /events` brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamSignal {
    /// Server-sent events that arrived together, in order.
    Events(Vec<SseEvent>),
    /// 204: all runs are final and all of their frames are delivered.
    Complete,
    /// Another status: no stream.
    Refused {
        status: u16,
        /// How long the server asks to be left alone.
        retry_after_ms: u64,
    },
    /// The response ended or failed.
    Closed,
}

/// What the leader tab does about a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamOutput {
    /// Deliver the events to the subscriptions of all tabs.
    Deliver(FeedBatch),
    /// Tell all tabs that the stream is lost. If the server rejected a run or a cursor, other tabs must also subscribe
    /// anew: a sleeping tab, which cannot, would keep the stream from all others.
    Lost { is_rejected: bool },
    /// The session has expired: reload the page, which leads to the login.
    LoginExpired,
}
