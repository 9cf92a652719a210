//! Connections make their first requests by turns, a few at once.
//!
//! After a restart all readers come back together. What the first of them needed to be answered the next ones use again, so a
//! thousand of them take the memory of a few.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::HEAD_LIMIT;

/// How many connections make their first request at once.
const AT_ONCE: usize = 64;

/// How long a connection waits for its turn at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// All turns.
#[derive(Clone)]
pub(super) struct FirstRequestLimiter(Arc<Semaphore>);

impl Default for FirstRequestLimiter {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

/// A connection's turn. One that makes another kind of request, or has waited for too long, goes on without.
#[derive(Clone)]
pub(super) struct FirstRequestPermit(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl FirstRequestLimiter {
    /// Waits until the client says something and it is its turn; until then it costs a socket and no buffers. `None` if it
    /// goes, or says nothing.
    pub(super) async fn wait(self, socket: &TcpStream) -> Option<FirstRequestPermit> {
        let whole = timeout(HEAD_LIMIT, poll_fn(|cx| poll_whole_request(socket, cx))).await.ok()?.ok()?;
        // Clients that dawdle have no turn, and so they do not keep others from theirs.
        let turn = if whole { timeout(PATIENCE, self.0.acquire_owned()).await.ok() } else { None };
        Some(FirstRequestPermit(Arc::new(Mutex::new(turn.and_then(Result::ok)))))
    }
}

impl FirstRequestPermit {
    /// The first request is answered.
    pub(super) fn release(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Ready when the client has said something: whether that is a whole request, which can be answered now.
fn poll_whole_request(socket: &TcpStream, cx: &mut Context<'_>) -> Poll<std::io::Result<bool>> {
    // Readers' requests are shorter. Those of a browser with many cookies may not be; they do not come by the thousand.
    let mut head = [MaybeUninit::uninit(); 2048];
    let mut head = ReadBuf::uninit(&mut head);
    ready!(socket.poll_peek(cx, &mut head))?;
    let head = head.filled();
    Poll::Ready(Ok(head.starts_with(b"GET ") && head.ends_with(b"\r\n\r\n")))
}
