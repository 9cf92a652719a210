//! A client of the streams.

use futures::StreamExt;
use reqwest::StatusCode;
use runtrail::model::sse::{SseEvent, SseParser};

use super::{LIMIT, Server};

/// A client that reads events as they arrive.
pub struct Events {
    body: std::pin::Pin<Box<dyn futures::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    parser: SseParser,
    waiting: std::collections::VecDeque<SseEvent>,
}

impl Events {
    pub async fn open(server: &Server, path: &str) -> Self {
        let response = server.get(path).await;
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Self::of(response, path)
    }

    /// The events of this response, which may have passed a proxy.
    pub fn of(response: reqwest::Response, path: &str) -> Self {
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let headers = response.headers();
        assert_eq!(headers["content-type"], "text/event-stream");
        assert_eq!(headers["cache-control"], "no-cache, no-transform");
        assert!(!headers.contains_key("content-encoding"));
        Self { body: Box::pin(response.bytes_stream()), parser: SseParser::new(""), waiting: Default::default() }
    }

    pub async fn next(&mut self) -> Option<SseEvent> {
        while self.waiting.is_empty() {
            let piece = tokio::time::timeout(LIMIT, self.body.next()).await.expect("an event in time")?;
            self.waiting.extend(self.parser.push(&piece.expect("a clean end")));
        }
        self.waiting.pop_front()
    }

    pub async fn all(mut self) -> Vec<SseEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}
