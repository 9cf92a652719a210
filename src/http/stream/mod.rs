//! Live journals as server-sent events (docs/CONTRACT.md, "The stream").
//!
//! [`run_stream`] is the stream of one run, [`multiplexed_stream`] that of several runs and the run list on one
//! connection. This file has what they share: a response body that is polled only when the connection takes more, so
//! that a slow client costs no memory.

mod broadcast_registry;
mod multiplexed_stream;
mod run_stream;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::connections::SharedSocket;
use super::state::AppState;
use crate::access::Principal;
use crate::model::{Problem, sse};
use crate::store::StoreError;

pub use broadcast_registry::BroadcastRegistry;
pub use multiplexed_stream::multiplexed_events;
pub use run_stream::run_events;

/// When clients reconnect after the server stops. Each gets a random delay from this range, so that they do not all
/// return at once.
const RECONNECT_DELAY_MS: std::ops::Range<u64> = 500..3000;

/// Where the events of a stream come from, after its first one.
trait EventSource: Send + 'static {
    /// Waits for the next events. Cancel safe.
    ///
    /// # Errors
    /// The store could not be read.
    fn next(&mut self) -> impl Future<Output = Result<EventBatch, StoreError>> + Send;

    /// The event that is sent when nothing else was for a while.
    fn heartbeat(&self) -> String;
}

/// What a source returns.
enum EventBatch {
    Events(Vec<Bytes>),
    /// The last event of the stream.
    Last(String),
    /// The stream ends with this problem.
    Failed(Problem),
}

/// The body of one stream.
struct EventStream<S> {
    source: S,
    /// The socket that broadcasts write to, past this body.
    socket: Arc<SharedSocket>,
    /// Encoded events that the connection has not taken yet.
    unsent: VecDeque<Bytes>,
    heartbeat: Duration,
    /// When this body last returned an event.
    last_event_at: Instant,
    /// One timer for all waits. It is moved when it fires, not with every event.
    heartbeat_timer: Pin<Box<Sleep>>,
    /// One registration for all waits.
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The last event is in `unsent`.
    is_closing: bool,
    _count: OpenStreamCount,
}

/// A response that sends `ready` and then the events of the source. It ends when the server stops or the client's
/// access ends.
fn respond(
    app: &AppState,
    principal: Principal,
    socket: Arc<SharedSocket>,
    ready: String,
    source: impl EventSource,
) -> Response {
    let stream = Box::new(EventStream {
        source,
        socket,
        unsent: VecDeque::from([Bytes::from(ready)]),
        heartbeat: app.heartbeat,
        last_event_at: Instant::now(),
        heartbeat_timer: Box::pin(tokio::time::sleep(app.heartbeat)),
        stop: Box::pin(principal.revoked.cancelled_owned()),
        is_closing: false,
        _count: OpenStreamCount::new(&app.streams),
    });
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        // no-transform: a proxy that compresses would hold events back.
        (header::CACHE_CONTROL.as_str(), "no-cache, no-transform"),
        ("x-accel-buffering", "no"),
    ];
    (headers, Body::from_stream(futures::stream::unfold(stream, EventStream::next))).into_response()
}

impl<S: EventSource> EventStream<S> {
    /// Takes `self` boxed, since it is moved with each event.
    async fn next(mut self: Box<Self>) -> Option<(Result<Bytes, std::convert::Infallible>, Box<Self>)> {
        while self.unsent.is_empty() && !self.is_closing {
            self.wait().await;
        }
        let bytes = self.unsent.pop_front()?;
        Some((Ok(bytes), self))
    }

    /// Waits for events and adds them to `unsent`.
    async fn wait(&mut self) {
        let batch = loop {
            tokio::select! {
                // A journal that grows without pause must not delay the end of the stream.
                biased;
                () = &mut self.stop => break Ok(EventBatch::Last(sse::retry_hint(reconnect_delay_ms()))),
                batch = self.source.next() => break batch,
                () = &mut self.heartbeat_timer => {
                    let broadcast_at = self.socket.last_write_at().map(Instant::from_std);
                    let last_sent_at = broadcast_at.map_or(self.last_event_at, |at| at.max(self.last_event_at));
                    let (now, due) = (Instant::now(), last_sent_at + self.heartbeat);
                    self.heartbeat_timer.as_mut().reset(if due > now { due } else { now + self.heartbeat });
                    if due <= now {
                        break Ok(EventBatch::Events(vec![self.source.heartbeat().into()]));
                    }
                }
            }
        };
        self.last_event_at = Instant::now();
        match batch {
            Ok(EventBatch::Events(events)) => self.unsent.extend(events),
            Ok(EventBatch::Last(text)) => self.close(text),
            Ok(EventBatch::Failed(problem)) => self.close(sse::problem_event(&problem)),
            Err(error) => self.close(sse::problem_event(&Problem::from(error))),
        }
    }

    fn close(&mut self, text: String) {
        self.is_closing = true;
        self.unsent.push_back(text.into());
    }
}

fn reconnect_delay_ms() -> u64 {
    // Without randomness all clients reconnect at once, which is slower but not wrong.
    let random = getrandom::u64().unwrap_or_default();
    RECONNECT_DELAY_MS.start + random % (RECONNECT_DELAY_MS.end - RECONNECT_DELAY_MS.start)
}

/// Counts a stream while it is open.
struct OpenStreamCount(Arc<AtomicU64>);

impl OpenStreamCount {
    fn new(count: &Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for OpenStreamCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
