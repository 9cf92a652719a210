//! Live journals as server-sent events (CONTRACT.md, "The stream"). Start nothing: they are readers.
//!
//! [`one`] is a run's stream, [`many`] that of several runs and the list over one connection. What they have in common is
//! here: an answer that is asked for more only when the client's connection takes more, so a slow client costs no memory.

mod crowds;
mod many;
mod one;

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

use super::App;
use super::connections::LentSocket;
use crate::access::Granted;
use crate::model::{Problem, sse};
use crate::store::StoreError;

pub use crowds::Crowds;
pub use many::many;
pub use one::events;

/// When clients come back after the server went away, in milliseconds: spread, so that they do not all come at once.
const COME_BACK: std::ops::Range<u64> = 500..3000;

/// What a stream tells, after its first event.
trait Source: Send + 'static {
    /// What comes next. Cancel safe.
    ///
    /// # Errors
    /// The store could not be read.
    fn next(&mut self) -> impl Future<Output = Result<Told, StoreError>> + Send;

    /// What is said after a time of silence.
    fn heartbeat(&self) -> String;
}

/// What a source tells.
enum Told {
    /// This, and more may follow.
    Events(Vec<Bytes>),
    /// This, and then nothing.
    Last(String),
    /// It cannot go on.
    Failed(Problem),
}

/// One client's stream.
struct Stream<S> {
    source: S,
    /// Where the source may have told something without a word.
    socket: Arc<LentSocket>,
    /// Encoded, and not yet taken by the connection.
    waiting: VecDeque<Bytes>,
    heartbeat: Duration,
    /// When something was sent from here last.
    quiet_since: Instant,
    /// One timer for all waits: it is set on when it rings, not with every frame.
    silence: Pin<Box<Sleep>>,
    /// One registration for all waits.
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    /// What waits is the last.
    closing: bool,
    _open: Open,
}

/// The answer that tells `ready` and then what the source tells. It ends with the server, or when the reader's access does.
fn answer(app: &App, granted: Granted, socket: Arc<LentSocket>, ready: String, source: impl Source) -> Response {
    let stream = Box::new(Stream {
        source,
        socket,
        waiting: VecDeque::from([Bytes::from(ready)]),
        heartbeat: app.heartbeat,
        quiet_since: Instant::now(),
        silence: Box::pin(tokio::time::sleep(app.heartbeat)),
        stop: Box::pin(granted.ends.cancelled_owned()),
        closing: false,
        _open: Open::new(&app.streams),
    });
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        // no-transform: a proxy must not compress what has to arrive at once.
        (header::CACHE_CONTROL.as_str(), "no-cache, no-transform"),
        ("x-accel-buffering", "no"),
    ];
    (headers, Body::from_stream(futures::stream::unfold(stream, Stream::next))).into_response()
}

impl<S: Source> Stream<S> {
    /// Boxed, since it goes through here with each piece.
    async fn next(mut self: Box<Self>) -> Option<(Result<Bytes, std::convert::Infallible>, Box<Self>)> {
        while self.waiting.is_empty() && !self.closing {
            self.wait().await;
        }
        let bytes = self.waiting.pop_front()?;
        Some((Ok(bytes), self))
    }

    /// Waits for what comes next and puts it into `waiting`.
    async fn wait(&mut self) {
        let told = loop {
            tokio::select! {
                // Stopping wins over a journal that grows without pause.
                biased;
                () = &mut self.stop => break Ok(Told::Last(sse::retry_hint(come_back()))),
                told = self.source.next() => break told,
                () = &mut self.silence => {
                    let told = self.socket.told_at().map(Instant::from_std);
                    let quiet_since = told.map_or(self.quiet_since, |told| told.max(self.quiet_since));
                    let (now, due) = (Instant::now(), quiet_since + self.heartbeat);
                    self.silence.as_mut().reset(if due > now { due } else { now + self.heartbeat });
                    if due <= now {
                        break Ok(Told::Events(vec![self.source.heartbeat().into()]));
                    }
                }
            }
        };
        self.quiet_since = Instant::now();
        match told {
            Ok(Told::Events(pieces)) => self.waiting.extend(pieces),
            Ok(Told::Last(text)) => self.close(text),
            Ok(Told::Failed(problem)) => self.close(sse::problem_event(&problem)),
            Err(error) => self.close(sse::problem_event(&Problem::from(error))),
        }
    }

    fn close(&mut self, text: String) {
        self.closing = true;
        self.waiting.push_back(text.into());
    }
}

fn come_back() -> u64 {
    // Without randomness the clients come back together, which is slower but not wrong.
    let random = getrandom::u64().unwrap_or_default();
    COME_BACK.start + random % (COME_BACK.end - COME_BACK.start)
}

/// Counts a stream while it is open.
struct Open(Arc<AtomicU64>);

impl Open {
    fn new(count: &Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
