//! The socket that hyper writes to. It tells whether hyper has written everything that it wanted to.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub(super) struct WriteTracker {
    socket: TokioIo<TcpStream>,
    blocked: WriteBlocked,
}

/// Whether the socket has not taken all of the last write. hyper repeats such a write.
#[derive(Clone, Default)]
pub(super) struct WriteBlocked(Arc<AtomicBool>);

impl WriteBlocked {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl WriteTracker {
    pub(super) fn new(socket: TcpStream) -> (Self, WriteBlocked) {
        let blocked = WriteBlocked::default();
        (Self { socket: TokioIo::new(socket), blocked: blocked.clone() }, blocked)
    }

    pub(super) fn into_inner(self) -> TcpStream {
        self.socket.into_inner()
    }

    fn record(&self, wanted: usize, written: &Poll<std::io::Result<usize>>) {
        let is_complete = matches!(written, Poll::Ready(Ok(written)) if *written == wanted);
        self.blocked.0.store(!is_complete, Ordering::Relaxed);
    }
}

impl Read for WriteTracker {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl Write for WriteTracker {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.record(bytes.len(), &written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.record(slices.iter().map(|slice| slice.len()).sum(), &written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
