//! Request bodies: limits of size and time, and reading them.
//!
//! A body is read only when a handler asks for it, so responses that depend on the head alone (401, 404, 415, a
//! declared size that is too large) are sent without reading it. Then the connection is closed
//! (`connections/linger.rs`).

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

/// The largest body of a hook: the limit of GitHub (docs.github.com, "Webhook events and payloads").
pub const MAX_HOOK_BODY_BYTES: usize = 25 << 20;

/// How large a body may be, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BodyLimits {
    max_bytes: usize,
    /// How long the body may take at any rate.
    base_duration: Duration,
    /// The rate that the body must sustain to take longer than that.
    min_bytes_per_second: u64,
    max_duration: Duration,
}

impl BodyLimits {
    /// Far above every valid request.
    const CALL: Self = Self {
        max_bytes: 256 << 10,
        base_duration: Duration::from_secs(10),
        min_bytes_per_second: 1024,
        max_duration: Duration::from_secs(266),
    };

    /// The login form.
    const LOGIN: Self = Self {
        max_bytes: 8 << 10,
        base_duration: Duration::from_secs(5),
        min_bytes_per_second: 1 << 20,
        max_duration: Duration::from_secs(5),
    };

    /// A hook. Forges wait 10 s for the response.
    const HOOK: Self = Self {
        max_bytes: MAX_HOOK_BODY_BYTES,
        base_duration: Duration::from_secs(5),
        min_bytes_per_second: 1 << 20,
        max_duration: Duration::from_secs(10),
    };

    fn for_path(path: &str) -> Self {
        match path {
            "/login" => Self::LOGIN,
            _ if path.starts_with("/api/v1/hooks/") => Self::HOOK,
            _ => Self::CALL,
        }
    }

    /// How long a body may take of which `size` bytes have arrived.
    fn time_limit(&self, size: usize) -> Duration {
        (self.base_duration + Duration::from_secs(size as u64 / self.min_bytes_per_second)).min(self.max_duration)
    }
}

/// Why reading a body failed.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("A body has at most {0} bytes here.")]
    TooLarge(usize),
    #[error(
        "The body came too slowly: {size} bytes had arrived. Send it whole within {} s, or at {} bytes per second and within {} s.",
        .limits.base_duration.as_secs(), .limits.min_bytes_per_second, .limits.max_duration.as_secs()
    )]
    TooSlow { size: usize, limits: BodyLimits },
    #[error("The body did not arrive whole.")]
    Incomplete,
}

impl BodyError {
    const fn code(&self) -> ProblemCode {
        match self {
            Self::TooLarge(_) => ProblemCode::BodyTooLarge,
            Self::TooSlow { .. } => ProblemCode::RequestTimeout,
            Self::Incomplete => ProblemCode::InvalidBody,
        }
    }
}

/// A body with limits.
struct LimitedBody {
    body: Body,
    limits: BodyLimits,
    started_at: Instant,
    timer: Pin<Box<Sleep>>,
    size: usize,
    /// Set when the whole body has been read.
    is_read: Arc<AtomicBool>,
}

impl LimitedBody {
    fn new(body: Body, limits: BodyLimits, is_read: Arc<AtomicBool>) -> Self {
        let started_at = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until(started_at + limits.base_duration));
        Self { body, limits, started_at, timer, size: 0, is_read }
    }
}

impl HttpBody for LimitedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, BodyError>>> {
        let max_bytes = self.limits.max_bytes;
        // The declared size, before anything has arrived.
        if self.size == 0 && self.body.size_hint().lower() > max_bytes as u64 {
            return Poll::Ready(Some(Err(BodyError::TooLarge(max_bytes))));
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.size += frame.data_ref().map_or(0, Bytes::len);
                if self.size > max_bytes {
                    return Poll::Ready(Some(Err(BodyError::TooLarge(max_bytes))));
                }
                if self.body.is_end_stream() {
                    self.is_read.store(true, Ordering::Relaxed);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(BodyError::Incomplete))),
            Poll::Ready(None) => {
                self.is_read.store(true, Ordering::Relaxed);
                Poll::Ready(None)
            }
            Poll::Pending => {
                let deadline = self.started_at + self.limits.time_limit(self.size);
                if self.timer.deadline() != deadline {
                    self.timer.as_mut().reset(deadline);
                }
                let late = BodyError::TooSlow { size: self.size, limits: self.limits };
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

/// If a larger body is not read, its connection is closed. hyper reads a smaller one to its end, to keep the
/// connection.
const MAX_DRAINED_BYTES: u64 = 16 << 10;

/// The layer: limits the body of every request. If the connection will be closed because of an unread body, the
/// response says so: otherwise the client could send its next request there (RFC 9112, section 9.6).
pub async fn limit(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let limits = BodyLimits::for_path(request.uri().path());
    let is_large = request.body().size_hint().upper().is_none_or(|size| size > MAX_DRAINED_BYTES);
    let is_read = Arc::new(AtomicBool::new(false));
    let limited = |body| Body::new(LimitedBody::new(body, limits, Arc::clone(&is_read)));
    let mut response = next.run(request.map(limited)).await;
    if is_large && !is_read.load(Ordering::Relaxed) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The problem of a body that could not be read.
pub fn problem(error: &axum::Error) -> Problem {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<BodyError>() {
            return Problem::new(error.code(), error.to_string());
        }
        source = error.source();
    }
    Problem::new(ProblemCode::InvalidBody, BodyError::Incomplete.to_string())
}

/// Reads the whole body, which [`limit`] has bounded.
///
/// # Errors
/// [`ProblemCode::BodyTooLarge`]; [`ProblemCode::InvalidBody`]: it is incomplete; [`ProblemCode::RequestTimeout`]: it
/// was too slow.
pub async fn read(body: Body) -> Result<Bytes, Problem> {
    let mut bytes = Vec::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        bytes.extend_from_slice(&chunk.map_err(|error| problem(&error))?);
    }
    Ok(bytes.into())
}

/// Reads the body as a JSON object. `None` if it is empty.
///
/// # Errors
/// As [`read`]; [`ProblemCode::UnsupportedMediaType`]: its type is not JSON; [`ProblemCode::InvalidBody`]: it is not
/// the JSON object
/// that the call takes.
pub async fn read_json<T: DeserializeOwned>(request: Request) -> Result<Option<T>, Problem> {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return Ok(None);
    }
    if body.size_hint().lower() > BodyLimits::CALL.max_bytes as u64 {
        let error = BodyError::TooLarge(BodyLimits::CALL.max_bytes);
        return Err(Problem::new(error.code(), error.to_string()));
    }
    if !is_json(&parts.headers) {
        let detail = "Send the body as JSON, with the header `Content-Type: application/json`.";
        return Err(Problem::new(ProblemCode::UnsupportedMediaType, detail));
    }
    let bytes = read(body).await?;
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    let invalid =
        |error| Problem::new(ProblemCode::InvalidBody, format!("The body is not what this call takes: {error}."));
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(invalid)?;
    if !value.is_object() {
        return Err(Problem::new(ProblemCode::InvalidBody, "The body is not a JSON object."));
    }
    serde_json::from_value(value).map(Some).map_err(invalid)
}

/// Whether the content type is `application/json`, with any parameters. Programs may leave it out, but browsers may
/// not.
///
/// Without a preflight, pages of other sites can only send other types, or none (Fetch standard, "CORS-safelisted
/// request-header").
fn is_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else {
        return !headers.contains_key(header::ORIGIN) && !headers.contains_key("sec-fetch-site");
    };
    let content_type = content_type.to_str().unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// The layer: reads the bodies of server functions in advance, because Leptos answers failures of reading with 500.
pub async fn buffer_server_fn_body(request: Request, next: Next) -> Response {
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

    /// A body of chunks of `size` bytes, each after a pause. It never ends without `chunks`.
    fn dripping(size: usize, pause_ms: u64, chunks: Option<usize>) -> Body {
        Body::from_stream(unfold(0, move |sent| async move {
            if chunks.is_some_and(|chunks| sent >= chunks) {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            Some((Ok::<_, Infallible>(vec![b'x'; size]), sent + 1))
        }))
    }

    async fn read_within(limits: BodyLimits, body: Body) -> Result<Bytes, Problem> {
        read(Body::new(LimitedBody::new(body, limits, Arc::default()))).await
    }

    const ALL: [BodyLimits; 3] = [BodyLimits::CALL, BodyLimits::LOGIN, BodyLimits::HOOK];

    #[tokio::test(start_paused = true)]
    async fn body_that_drips_times_out() {
        for limits in ALL {
            // Nothing; a byte per second; steady, but too slow.
            for (body, limit) in [
                (Body::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>()), limits.base_duration),
                (dripping(1, 1000, None), limits.base_duration + Duration::from_secs(1)),
                (dripping(150, 300, None), limits.base_duration * 2),
            ] {
                let started_at = Instant::now();
                let problem = read_within(limits, body).await.expect_err("the body times out");
                assert_eq!((problem.code, problem.status, problem.retryable), (ProblemCode::RequestTimeout, 408, true));
                assert!(started_at.elapsed() <= limit, "{:?}", started_at.elapsed());
            }
            // At a higher rate the size limit applies first.
            let read = read_within(limits, dripping(1 << 20, 10, None)).await;
            assert_eq!(read.map_err(|problem| problem.code), Err(ProblemCode::BodyTooLarge));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn body_at_the_minimum_rate_is_read() {
        for (limits, size, pause_ms, chunks) in [
            (BodyLimits::CALL, 1, 1000, 9),
            (BodyLimits::CALL, 1024, 999, 250),
            (BodyLimits::CALL, 256 << 10, 9_000, 1),
            (BodyLimits::LOGIN, 100, 1000, 4),
            (BodyLimits::HOOK, 25 << 20, 4_000, 1),
            (BodyLimits::HOOK, 3 << 20, 1_000, 8),
        ] {
            let bytes = read_within(limits, dripping(size, pause_ms, Some(chunks))).await.unwrap();
            assert_eq!(bytes.len(), size * chunks);
        }
    }

    #[tokio::test]
    async fn body_with_too_large_declared_size_is_not_read() {
        struct DeclaredSize;
        impl HttpBody for DeclaredSize {
            type Data = Bytes;
            type Error = Infallible;
            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
                panic!("the body was read");
            }
            fn size_hint(&self) -> hyper::body::SizeHint {
                hyper::body::SizeHint::with_exact(26 << 20)
            }
        }
        for limits in ALL {
            let read = read_within(limits, Body::new(DeclaredSize)).await;
            assert_eq!(read.map_err(|problem| problem.status), Err(413));
        }
    }

    #[tokio::test]
    async fn json_body_needs_a_json_content_type() {
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
        assert_eq!(ask_from(Some("same-origin"), None, "{}").await, Err(415), "a blob of a browser without a type");
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
        fn body_time_limit_is_bounded(size: usize) {
            for limits in ALL {
                prop_assert!((limits.base_duration..=limits.max_duration).contains(&limits.time_limit(size)));
            }
        }
    }
}
