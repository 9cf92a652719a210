//! A body that calls a function when it ends or is dropped.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::HttpBody;
use hyper::body::{Frame, SizeHint};

pub(super) struct BodyWithEndHook<B, F: FnOnce()> {
    body: B,
    on_end: Option<F>,
}

impl<B, F: FnOnce()> BodyWithEndHook<B, F> {
    pub(super) fn new(body: B, on_end: F) -> Self {
        Self { body, on_end: Some(on_end) }
    }

    fn end(&mut self) {
        if let Some(on_end) = self.on_end.take() {
            on_end();
        }
    }
}

impl<B: HttpBody + Unpin, F: FnOnce() + Unpin> HttpBody for BodyWithEndHook<B, F> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) || self.body.is_end_stream() {
            self.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B, F: FnOnce()> Drop for BodyWithEndHook<B, F> {
    fn drop(&mut self) {
        self.end();
    }
}
