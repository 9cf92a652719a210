//! An event stream on its socket.
//!
//! It is open for hours, does nothing for most of them, and then has a few hundred bytes to send, and very many others have
//! the same. So it keeps no buffers while it waits, and what has come goes out in one write.

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

use super::shared_socket::SharedSocket;

/// What a stream sends at once is copied together up to about this; a longer piece is written from where it lies.
const TOGETHER: usize = 16 * 1024;

/// The most bytes of a chunk that are not its data.
const FRAMING: usize = 20;

/// These pieces as one chunk.
pub(super) fn chunk(pieces: &[Bytes]) -> Bytes {
    let length = pieces.iter().map(Bytes::len).sum::<usize>();
    let mut out = Vec::with_capacity(length + FRAMING);
    out.extend_from_slice(format!("{length:x}\r\n").as_bytes());
    pieces.iter().for_each(|piece| out.extend_from_slice(piece));
    out.extend_from_slice(b"\r\n");
    out.into()
}

/// Once the server stops, how long a stream may take to send its last words.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// An event stream and its socket: HTTP/1.1, chunked, and the last answer of its connection.
pub(super) struct StreamWriter {
    /// Here, or shared.
    socket: Option<TcpStream>,
    shared: Arc<SharedSocket>,
    /// What was left over when the socket came back.
    unsent: Bytes,
    body: Body,
    /// To be written at once. Empty, without memory, while the stream waits.
    out: Vec<u8>,
}

/// What there is to write.
enum Ready {
    /// `out`.
    Out,
    /// `out`, then this piece.
    Piece(Bytes),
    /// `out`, then nothing more.
    End,
}

impl StreamWriter {
    /// What this response tells, on this socket.
    pub(super) fn new(socket: TcpStream, shared: Arc<SharedSocket>, response: Response) -> Self {
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
        Self { socket: Some(socket), shared, unsent: Bytes::new(), body, out }
    }

    /// Writes until the stream ends or the client goes.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            // An error is the client's going away.
            _ = self.write() => {}
            // A client that does not read is no reason to stay.
            () = late => {}
        }
    }

    async fn write(&mut self) -> std::io::Result<()> {
        loop {
            let ready = poll_fn(|cx| self.poll_ready(cx)).await?;
            // Not shared: there is something to write.
            let Some(socket) = &mut self.socket else { return Err(ErrorKind::NotConnected.into()) };
            socket.write_all(&std::mem::take(&mut self.unsent)).await?;
            socket.write_all(&std::mem::take(&mut self.out)).await?;
            match ready {
                Ready::Out => {}
                Ready::Piece(piece) => {
                    socket.write_all(&piece).await?;
                    self.out.extend_from_slice(b"\r\n");
                }
                Ready::End => return socket.shutdown().await,
            }
        }
    }

    /// Collects what the body has. An error if the client has closed, or the body has no orderly end: then the client must
    /// not see one.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<Ready>> {
        // Before the body is asked: what it says now comes after what was written there.
        if let Some((socket, unsent)) = self.shared.reclaim() {
            (self.socket, self.unsent) = (Some(socket), unsent);
            if !self.unsent.is_empty() {
                return Poll::Ready(Ok(Ready::Out));
            }
        }
        while self.out.len() < TOGETHER {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers: there are none.
                    let Ok(piece) = frame.into_data() else { continue };
                    // A chunk of no bytes would be the end.
                    if piece.is_empty() {
                        continue;
                    }
                    let large = piece.len() > TOGETHER;
                    self.out.reserve(FRAMING + if large { 0 } else { piece.len() });
                    write!(self.out, "{:x}\r\n", piece.len())?;
                    if large {
                        return Poll::Ready(Ok(Ready::Piece(piece)));
                    }
                    self.out.extend_from_slice(&piece);
                    self.out.extend_from_slice(b"\r\n");
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(std::io::Error::other(error))),
                Poll::Ready(None) => {
                    self.out.extend_from_slice(b"0\r\n\r\n");
                    return Poll::Ready(Ok(Ready::End));
                }
                Poll::Pending if self.out.is_empty() => {
                    let Some(socket) = self.socket.take() else { return Poll::Pending };
                    if let Poll::Ready(error) = poll_closed(&socket, cx) {
                        return Poll::Ready(Err(error));
                    }
                    self.shared.release(socket);
                    return Poll::Pending;
                }
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(Ready::Out))
    }
}

/// Ready when the client has closed. What it still says is not heard.
fn poll_closed(socket: &TcpStream, cx: &mut Context<'_>) -> Poll<std::io::Error> {
    let mut unheard = [0; 512];
    loop {
        if let Err(error) = ready!(socket.poll_read_ready(cx)) {
            return Poll::Ready(error);
        }
        match socket.try_read(&mut unheard) {
            Ok(0) => return Poll::Ready(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Poll::Ready(error),
        }
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        // Others may have it in their hands for a while.
        self.shared.reclaim();
    }
}
