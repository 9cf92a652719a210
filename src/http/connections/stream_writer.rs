//! Writes an event stream to its socket.
//!
//! A stream is open for hours, and mostly idle. Then it has a few hundred bytes to send, at the same moment as very
//! many others. So it has no buffers while it waits, and sends all that is ready in one write.

use std::future::poll_fn;
use std::io::{ErrorKind, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::chunk::FRAMING_BYTES;
use super::shared_socket::SharedSocket;

/// Events up to about this size are copied into one buffer. A larger one is written from where it is.
const COPY_LIMIT_BYTES: usize = 16 * 1024;

/// How long a stream may take to send its last events once the server stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// An event stream and its socket. It is the last response of its connection: HTTP/1.1, chunked.
pub(super) struct StreamWriter {
    /// `None` while it is released.
    socket: Option<TcpStream>,
    shared_socket: Arc<SharedSocket>,
    /// What a broadcaster had left to write when the socket was reclaimed.
    unsent: Bytes,
    body: Body,
    /// What is to be written next. Empty, and without memory, while the stream waits.
    out: Vec<u8>,
}

/// What there is to write.
enum Pending {
    /// `out`.
    Out,
    /// `out`, then this data.
    Data(Bytes),
    /// `out`, then nothing more.
    End,
}

impl StreamWriter {
    /// Starts the response on this socket.
    pub(super) fn new(socket: TcpStream, shared_socket: Arc<SharedSocket>, response: Response) -> Self {
        let (mut head, body) = response.into_parts();
        head.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        head.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        let mut out = format!("HTTP/1.1 {}\r\n", head.status).into_bytes();
        for (name, value) in &head.headers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
        let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
        out.extend_from_slice(format!("date: {date}\r\n\r\n").as_bytes());
        Self { socket: Some(socket), shared_socket, unsent: Bytes::new(), body, out }
    }

    /// Writes until the stream ends or the client closes the connection.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let timeout = async {
            stop.cancelled().await;
            tokio::time::sleep(SHUTDOWN_TIMEOUT).await;
        };
        tokio::select! {
            // A write fails when the client has closed the connection.
            _ = self.write() => {}
            // A client that does not read must not delay the shutdown.
            () = timeout => {}
        }
    }

    async fn write(&mut self) -> std::io::Result<()> {
        loop {
            let ready = poll_fn(|cx| self.poll_ready(cx)).await?;
            // There is something to write, so the socket is not released.
            let Some(socket) = &mut self.socket else { return Err(ErrorKind::NotConnected.into()) };
            socket.write_all(&std::mem::take(&mut self.unsent)).await?;
            socket.write_all(&std::mem::take(&mut self.out)).await?;
            match ready {
                Pending::Out => {}
                Pending::Data(data) => {
                    socket.write_all(&data).await?;
                    self.out.extend_from_slice(b"\r\n");
                }
                Pending::End => return socket.shutdown().await,
            }
        }
    }

    /// Collects what the body has ready. Fails if the client has closed the connection, or if the body has failed: then
    /// the client must not see the last chunk.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<Pending>> {
        // Reclaimed before the body is polled: events of the body come after what was broadcast.
        if let Some((socket, unsent)) = self.shared_socket.reclaim() {
            (self.socket, self.unsent) = (Some(socket), unsent);
            if !self.unsent.is_empty() {
                return Poll::Ready(Ok(Pending::Out));
            }
        }
        while self.out.len() < COPY_LIMIT_BYTES {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Bodies here have no trailers.
                    let Ok(data) = frame.into_data() else { continue };
                    // An empty chunk would end the body.
                    if data.is_empty() {
                        continue;
                    }
                    let is_large = data.len() > COPY_LIMIT_BYTES;
                    self.out.reserve(FRAMING_BYTES + if is_large { 0 } else { data.len() });
                    write!(self.out, "{:x}\r\n", data.len())?;
                    if is_large {
                        return Poll::Ready(Ok(Pending::Data(data)));
                    }
                    self.out.extend_from_slice(&data);
                    self.out.extend_from_slice(b"\r\n");
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(std::io::Error::other(error))),
                Poll::Ready(None) => {
                    self.out.extend_from_slice(b"0\r\n\r\n");
                    return Poll::Ready(Ok(Pending::End));
                }
                Poll::Pending if self.out.is_empty() => {
                    let Some(socket) = self.socket.take() else { return Poll::Pending };
                    if let Poll::Ready(error) = poll_closed(&socket, cx) {
                        return Poll::Ready(Err(error));
                    }
                    self.shared_socket.release(socket);
                    return Poll::Pending;
                }
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(Pending::Out))
    }
}

/// Ready when the client has closed the connection. Anything it sends is discarded.
fn poll_closed(socket: &TcpStream, cx: &mut Context<'_>) -> Poll<std::io::Error> {
    let mut discarded = [0; 512];
    loop {
        if let Err(error) = ready!(socket.poll_read_ready(cx)) {
            return Poll::Ready(error);
        }
        match socket.try_read(&mut discarded) {
            Ok(0) => return Poll::Ready(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Poll::Ready(error),
        }
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        // The broadcaster may hold the shared socket for a while.
        self.shared_socket.reclaim();
    }
}
