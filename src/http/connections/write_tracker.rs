//! hyper's side of a socket, which knows whether hyper has written all that it wanted to write.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// See the module's comment.
pub(super) struct WriteTracker {
    socket: TokioIo<TcpStream>,
    held_back: WriteBlocked,
}

/// The socket did not take everything; hyper tries again when it can.
#[derive(Clone, Default)]
pub(super) struct WriteBlocked(Arc<AtomicBool>);

impl WriteBlocked {
    /// Whether it is so now.
    pub(super) fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl WriteTracker {
    /// The socket, watched.
    pub(super) fn new(socket: TcpStream) -> (Self, WriteBlocked) {
        let held_back = WriteBlocked::default();
        (Self { socket: TokioIo::new(socket), held_back: held_back.clone() }, held_back)
    }

    /// The socket, watched no more.
    pub(super) fn into_inner(self) -> TcpStream {
        self.socket.into_inner()
    }

    fn note(&self, wanted: usize, written: &Poll<std::io::Result<usize>>) {
        let all = matches!(written, Poll::Ready(Ok(written)) if *written == wanted);
        self.held_back.0.store(!all, Ordering::Relaxed);
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
        self.note(bytes.len(), &written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, pieces);
        self.note(pieces.iter().map(|piece| piece.len()).sum(), &written);
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
