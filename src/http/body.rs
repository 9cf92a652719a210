//! Bodies of requests: one layer around all routes bounds them in size and in time, whoever reads them.
//!
//! A body is read only when somebody asks for it, so what the head decides (401, 404, 415, a length that is too large) is answered
//! without a byte of it. Then its connection is closed (`connections/linger.rs`).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, Sleep};

use crate::model::{Problem, ProblemCode};

/// The largest body that a hook may be sent: GitHub sends none that is larger (docs.github.com, "Webhook events and payloads").
pub const MAX_HOOK: usize = 25 << 20;

/// How large a body may be, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    /// In bytes.
    most: usize,
    /// How long it may take at any pace.
    first: Duration,
    /// How many bytes a second it has to keep up to take longer.
    rate: u64,
    /// How long it may take at all.
    longest: Duration,
}

impl Bounds {
    /// Any call: room to spare for every valid request.
    const CALL: Self =
        Self { most: 256 << 10, first: Duration::from_secs(10), rate: 1024, longest: Duration::from_secs(266) };

    /// The login form: any token and any `next`.
    const LOGIN: Self =
        Self { most: 8 << 10, first: Duration::from_secs(5), rate: 1 << 20, longest: Duration::from_secs(5) };

    /// A hook: forges wait 10 s for their answer.
    const HOOK: Self =
        Self { most: MAX_HOOK, first: Duration::from_secs(5), rate: 1 << 20, longest: Duration::from_secs(10) };

    fn of(path: &str) -> Self {
        match path {
            "/login" => Self::LOGIN,
            _ if path.starts_with("/api/v1/hooks/") => Self::HOOK,
            _ => Self::CALL,
        }
    }

    /// How long after its begin a body may take of which so many bytes have arrived.
    fn time_limit(&self, size: usize) -> Duration {
        (self.first + Duration::from_secs(size as u64 / self.rate)).min(self.longest)
    }
}

/// Why a body is not read on.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("A body has at most {0} bytes here.")]
    TooLarge(usize),
    #[error(
        "The body came too slowly: {size} bytes had arrived. Send it whole within {} s, or at {} bytes per second and within {} s.",
        .bounds.first.as_secs(), .bounds.rate, .bounds.longest.as_secs()
    )]
    TooSlow { size: usize, bounds: Bounds },
    #[error("The body did not arrive whole.")]
    Broken,
}

impl Fault {
    const fn code(&self) -> ProblemCode {
        match self {
            Self::TooLarge(_) => ProblemCode::BodyTooLarge,
            Self::TooSlow { .. } => ProblemCode::RequestTimeout,
            Self::Broken => ProblemCode::InvalidBody,
        }
    }
}

/// A body within its bounds.
struct Bounded {
    body: Body,
    bounds: Bounds,
    begun: Instant,
    timer: Pin<Box<Sleep>>,
    size: usize,
    /// Set when all of it has been read.
    is_read: Arc<AtomicBool>,
}

impl Bounded {
    fn new(body: Body, bounds: Bounds, is_read: Arc<AtomicBool>) -> Self {
        let begun = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until(begun + bounds.first));
        Self { body, bounds, begun, timer, size: 0, is_read }
    }
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Fault>>> {
        let most = self.bounds.most;
        // What the head promises, before any of it has come.
        if self.size == 0 && self.body.size_hint().lower() > most as u64 {
            return Poll::Ready(Some(Err(Fault::TooLarge(most))));
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.size += frame.data_ref().map_or(0, Bytes::len);
                if self.size > most {
                    return Poll::Ready(Some(Err(Fault::TooLarge(most))));
                }
                if self.body.is_end_stream() {
                    self.is_read.store(true, Ordering::Relaxed);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(Fault::Broken))),
            Poll::Ready(None) => {
                self.is_read.store(true, Ordering::Relaxed);
                Poll::Ready(None)
            }
            Poll::Pending => {
                let deadline = self.begun + self.bounds.time_limit(self.size);
                if self.timer.deadline() != deadline {
                    self.timer.as_mut().reset(deadline);
                }
                let late = Fault::TooSlow { size: self.size, bounds: self.bounds };
                self.timer.as_mut().poll(cx).map(|()| Some(Err(late)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

/// A body that is larger is not read to its end only to keep its connection: what hyper reads at once, and no more.
const KEPT: u64 = 16 << 10;

/// The layer: bounds the body of any request. Where so much of one is left unread that its connection will be closed, the answer says so:
/// else a client could send its next request there (RFC 9112, section 9.6).
pub async fn bound(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let bounds = Bounds::of(request.uri().path());
    let is_large = request.body().size_hint().upper().is_none_or(|size| size > KEPT);
    let is_read = Arc::new(AtomicBool::new(false));
    let bounded = |body| Body::new(Bounded::new(body, bounds, Arc::clone(&is_read)));
    let mut answer = next.run(request.map(bounded)).await;
    if is_large && !is_read.load(Ordering::Relaxed) {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// What is answered to a body that could not be read.
pub fn problem(error: &axum::Error) -> Problem {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(fault) = error.downcast_ref::<Fault>() {
            return Problem::new(fault.code(), fault.to_string());
        }
        source = error.source();
    }
    Problem::new(ProblemCode::InvalidBody, Fault::Broken.to_string())
}

/// The whole body, which the layer has bounded.
///
/// # Errors
/// [`ProblemCode::BodyTooLarge`]; [`ProblemCode::InvalidBody`] if it did not arrive whole; [`ProblemCode::RequestTimeout`] if it came too slowly.
pub async fn read(body: Body) -> Result<Bytes, Problem> {
    let mut bytes = Vec::new();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece.map_err(|error| problem(&error))?);
    }
    Ok(bytes.into())
}

/// The body as a JSON object; `None` if there is nothing in it.
///
/// # Errors
/// As [`read`]; [`ProblemCode::UnsupportedMediaType`] if it does not say that it is JSON; [`ProblemCode::InvalidBody`] if it is no JSON object, or
/// not the one that the call takes.
pub async fn read_json<T: DeserializeOwned>(request: Request) -> Result<Option<T>, Problem> {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return Ok(None);
    }
    if body.size_hint().lower() > Bounds::CALL.most as u64 {
        let fault = Fault::TooLarge(Bounds::CALL.most);
        return Err(Problem::new(fault.code(), fault.to_string()));
    }
    if !is_json(&parts.headers) {
        let detail = "Send the body as JSON, with the header `Content-Type: application/json`.";
        return Err(Problem::new(ProblemCode::UnsupportedMediaType, detail));
    }
    let bytes = read(body).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    let fault =
        |error| Problem::new(ProblemCode::InvalidBody, format!("The body is not what this call takes: {error}."));
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(fault)?;
    if !value.is_object() {
        return Err(Problem::new(ProblemCode::InvalidBody, "The body is not a JSON object."));
    }
    serde_json::from_value(value).map(Some).map_err(fault)
}

/// Whether a body is said to be `application/json`, whatever its parameters.
///
/// Pages of other sites can send only other kinds, or none, without asking first (Fetch standard, "CORS-safelisted
/// request-header"). Browsers say where a request comes from; a program, which does not, may leave the kind out.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else {
        return !headers.contains_key(header::ORIGIN) && !headers.contains_key("sec-fetch-site");
    };
    let kind = kind.to_str().unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// Reads the bodies of the server functions, which answer any failure to do so as a fault of the server.
pub async fn read_first(request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/fn/") {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    match read(body).await {
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream::unfold;
    use proptest::prelude::*;

    use super::*;

    /// A body of pieces of one size, one after each pause, that never ends if `pieces` is not given.
    fn dripping(piece: usize, pause_ms: u64, pieces: Option<usize>) -> Body {
        Body::from_stream(unfold(0, move |sent| async move {
            if pieces.is_some_and(|pieces| sent >= pieces) {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            Some((Ok::<_, Infallible>(vec![b'x'; piece]), sent + 1))
        }))
    }

    async fn read_within(bounds: Bounds, body: Body) -> Result<Bytes, Problem> {
        read(Body::new(Bounded::new(body, bounds, Arc::default()))).await
    }

    const ALL: [Bounds; 3] = [Bounds::CALL, Bounds::LOGIN, Bounds::HOOK];

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_given_up_in_time() {
        for bounds in ALL {
            // Nothing at all; a byte now and then; steadily, but too slowly.
            for (body, limit) in [
                (Body::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>()), bounds.first),
                (dripping(1, 1000, None), bounds.first + Duration::from_secs(1)),
                (dripping(150, 300, None), bounds.first * 2),
            ] {
                let begun = Instant::now();
                let problem = read_within(bounds, body).await.expect_err("it is not waited for");
                assert_eq!((problem.code, problem.status, problem.retryable), (ProblemCode::RequestTimeout, 408, true));
                assert!(begun.elapsed() <= limit, "{:?}", begun.elapsed());
            }
            // Faster than that it is too large before it is too slow.
            let read = read_within(bounds, dripping(1 << 20, 10, None)).await;
            assert_eq!(read.map_err(|problem| problem.code), Err(ProblemCode::BodyTooLarge));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_keeps_the_pace_is_read() {
        for (bounds, piece, pause_ms, pieces) in [
            (Bounds::CALL, 1, 1000, 9),
            (Bounds::CALL, 1024, 999, 250),
            (Bounds::CALL, 256 << 10, 9_000, 1),
            (Bounds::LOGIN, 100, 1000, 4),
            (Bounds::HOOK, 25 << 20, 4_000, 1),
            (Bounds::HOOK, 3 << 20, 1_000, 8),
        ] {
            let bytes = read_within(bounds, dripping(piece, pause_ms, Some(pieces))).await.unwrap();
            assert_eq!(bytes.len(), piece * pieces);
        }
    }

    #[tokio::test]
    async fn a_body_that_promises_too_much_is_not_read() {
        struct Promise;
        impl HttpBody for Promise {
            type Data = Bytes;
            type Error = Infallible;
            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
                panic!("it is read");
            }
            fn size_hint(&self) -> hyper::body::SizeHint {
                hyper::body::SizeHint::with_exact(26 << 20)
            }
        }
        for bounds in ALL {
            let refused = read_within(bounds, Body::new(Promise)).await;
            assert_eq!(refused.map_err(|problem| problem.status), Err(413));
        }
    }

    #[tokio::test]
    async fn the_json_calls_take_json_only() {
        let ask_from = async |site: Option<&str>, kind: Option<&str>, body: &'static str| {
            let mut request = Request::builder();
            if let Some(kind) = kind {
                request = request.header("content-type", kind);
            }
            if let Some(site) = site {
                request = request.header("sec-fetch-site", site);
            }
            let read = read_json::<serde_json::Value>(request.body(Body::from(body)).unwrap()).await;
            read.map(|value| value.is_some()).map_err(|problem| problem.status)
        };
        let ask = async |kind: Option<&str>, body: &'static str| ask_from(None, kind, body).await;
        assert_eq!(ask_from(Some("same-origin"), None, "{}").await, Err(415), "a browser's blob without a kind");
        assert_eq!(ask_from(Some("same-origin"), Some("application/json"), "{}").await, Ok(true));
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/json;x=y"] {
            assert_eq!(ask(Some(kind), "{}").await, Ok(true), "{kind}");
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "json"] {
            assert_eq!(ask(Some(kind), "{}").await, Err(415), "{kind}");
        }
        assert_eq!(ask(None, "{}").await, Ok(true));
        // `curl -X POST`, and `curl -d ''`.
        assert_eq!(ask(None, "").await, Ok(false));
        assert_eq!(ask(Some("application/x-www-form-urlencoded"), "").await, Ok(false));
    }

    proptest! {
        #[test]
        fn no_body_takes_longer_than_the_longest(size: usize) {
            for bounds in ALL {
                prop_assert!((bounds.first..=bounds.longest).contains(&bounds.time_limit(size)));
            }
        }
    }
}
