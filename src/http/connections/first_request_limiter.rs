//! Limits how many connections make their first request at once.
//!
//! After a restart all readers reconnect together. With a limit they share the memory that answering a request takes,
//! so a thousand of them need that of a few.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::HEADER_TIMEOUT;

/// How many connections make their first request at once.
const MAX_FIRST_REQUESTS: usize = 64;

/// How long a connection waits for its permit. After that it goes on without one.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The permits of all connections. Cheap to clone.
#[derive(Clone)]
pub(super) struct FirstRequestLimiter(Arc<Semaphore>);

impl Default for FirstRequestLimiter {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_FIRST_REQUESTS)))
    }
}

/// A connection's permit, if it has one.
#[derive(Clone)]
pub(super) struct FirstRequestPermit(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl FirstRequestLimiter {
    /// Waits for the client's first bytes and for a permit. Until then the connection costs a socket and no buffers.
    /// `None` if the client closes the connection or sends nothing.
    pub(super) async fn acquire(self, socket: &TcpStream) -> Option<FirstRequestPermit> {
        let is_whole = timeout(HEADER_TIMEOUT, poll_fn(|cx| poll_whole_request(socket, cx))).await.ok()?.ok()?;
        // Clients that send their request slowly take no permit, so they keep nobody else from one.
        let permit = if is_whole { timeout(PERMIT_TIMEOUT, self.0.acquire_owned()).await.ok() } else { None };
        Some(FirstRequestPermit(Arc::new(Mutex::new(permit.and_then(Result::ok)))))
    }
}

impl FirstRequestPermit {
    /// Releases the permit once the first request is answered.
    pub(super) fn release(&self) {
        self.0.lock().take();
    }
}

/// Ready when the client has sent something: whether that is a whole request, which can be answered at once.
fn poll_whole_request(socket: &TcpStream, cx: &mut Context<'_>) -> Poll<std::io::Result<bool>> {
    // Requests of readers fit. Those of browsers with many cookies may not, but they do not come by the thousand.
    let mut head = [MaybeUninit::uninit(); 2048];
    let mut head = ReadBuf::uninit(&mut head);
    ready!(socket.poll_peek(cx, &mut head))?;
    let head = head.filled();
    Poll::Ready(Ok(head.starts_with(b"GET ") && head.ends_with(b"\r\n\r\n")))
}
