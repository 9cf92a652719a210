//! A run's live journal as server-sent events (CONTRACT.md, "The stream"). Starts nothing: it is a reader.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::App;
use super::api::RunPath;
use crate::journal::{Reader, Step};
use crate::model::{Cursor, Problem, sse};

/// When clients come back after the server went away, in milliseconds: spread, so that they do not all come at once.
const COME_BACK: std::ops::Range<u64> = 500..3000;

/// `GET /runs/{id}/events`
pub async fn events(
    State(app): State<App>,
    RunPath(id): RunPath,
    headers: HeaderMap,
    query: Result<Query<HashMap<String, String>>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let query = query.map(|Query(query)| query).unwrap_or_default();
    // A header that is no text is no number either.
    let last_event_id = headers.get("last-event-id").map(|id| id.to_str().unwrap_or("?"));
    let cursor = Cursor::of_stream(last_event_id, query.get("after").map(String::as_str))?;
    let (reader, pulse) = app.service.read(&id, cursor).await?;
    if pulse.status.is_finished() && cursor.0 == pulse.head {
        // Tells EventSource to stay away.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let ready = sse::ready(cursor.0, pulse.head, pulse.status, pulse.attempt);
    let stream = Stream {
        reader,
        waiting: VecDeque::from([Bytes::from(ready)]),
        heartbeat: app.heartbeat,
        quiet_since: Instant::now(),
        silence: Box::pin(tokio::time::sleep(app.heartbeat)),
        stop: Box::pin(app.stop.clone().cancelled_owned()),
        closing: false,
        _open: Open::new(&app.streams),
    };
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        // no-transform: a proxy must not compress what has to arrive at once.
        (header::CACHE_CONTROL.as_str(), "no-cache, no-transform"),
        ("x-accel-buffering", "no"),
    ];
    Ok((headers, Body::from_stream(futures::stream::unfold(stream, Stream::next))).into_response())
}

/// One client's stream. It is asked for more only when the client's connection takes more, so a slow one costs no memory.
struct Stream {
    reader: Reader,
    /// Encoded, and not yet taken by the connection.
    waiting: VecDeque<Bytes>,
    heartbeat: Duration,
    /// When something was sent last.
    quiet_since: Instant,
    /// One timer for all waits: it is set on when it rings, not with every frame.
    silence: Pin<Box<Sleep>>,
    /// One registration for all waits.
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    /// What waits is the last.
    closing: bool,
    _open: Open,
}

impl Stream {
    async fn next(mut self) -> Option<(Result<Bytes, std::convert::Infallible>, Self)> {
        if self.waiting.is_empty() && !self.closing {
            self.wait().await;
        }
        let bytes = self.waiting.pop_front()?;
        Some((Ok(bytes), self))
    }

    /// Waits for what comes next and puts it into `waiting`.
    async fn wait(&mut self) {
        let step = loop {
            tokio::select! {
                // Stopping wins over a journal that grows without pause.
                biased;
                () = &mut self.stop => {
                    self.closing = true;
                    self.waiting.push_back(sse::retry(come_back()).into());
                    return;
                }
                step = self.reader.next() => break step,
                () = &mut self.silence => {
                    let due = self.quiet_since + self.heartbeat;
                    let now = Instant::now();
                    self.silence.as_mut().reset(if due > now { due } else { now + self.heartbeat });
                    if due <= now {
                        self.quiet_since = now;
                        self.waiting.push_back(sse::heartbeat(self.reader.pulse().head).into());
                        return;
                    }
                }
            }
        };
        self.quiet_since = Instant::now();
        match step {
            Ok(Step::Frames(pieces)) => self.waiting.extend(pieces),
            Ok(Step::End(pulse)) => {
                self.closing = true;
                self.waiting.push_back(sse::end(pulse.status, pulse.head).into());
            }
            Err(error) => {
                self.closing = true;
                self.waiting.push_back(sse::problem(&Problem::from(error)).into());
            }
        }
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
