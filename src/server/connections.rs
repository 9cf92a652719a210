//! Connections. hyper reads requests and writes answers; an event stream leaves hyper once its answer is known, and its bytes
//! are written here.
//!
//! A stream is open for hours, does nothing for most of them, and then has a few hundred bytes to send to very many clients at
//! once. So it keeps no buffers while it waits, and what has come goes out in one write. Knows no runs: whatever answers with
//! `text/event-stream` is one.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Method, Request, Version, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

/// What a stream sends at once is copied together up to about this; a longer piece is written from where it lies.
const TOGETHER: usize = 16 * 1024;

/// Once the server stops, how long a stream may take to send its last words.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long a client may take to send the head of its request.
const HEAD_LIMIT: Duration = Duration::from_secs(30);

/// When the system has no descriptor left for a connection, how long to wait for one.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// Serves until `stop`, then waits until every connection has ended.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let open = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                // What is written is complete; it must not wait for what was written before to be acknowledged.
                let _ = socket.set_nodelay(true);
                open.spawn(connection(socket, peer, router.clone(), stop.clone(), open.clone()));
            }
            // Gone before it was accepted.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection");
                tokio::time::sleep(NO_DESCRIPTOR).await;
            }
        }
    }
    drop(listener);
    open.close();
    open.wait().await;
}

/// One connection, as long as hyper has it.
async fn connection(socket: TcpStream, peer: SocketAddr, router: Router, stop: CancellationToken, open: TaskTracker) {
    let (take_over, mut streams) = mpsc::channel::<Response>(1);
    let answer = service_fn(move |request: Request<Incoming>| {
        let may_stream = request.method() == Method::GET
            && request.version() == Version::HTTP_11
            && hyper::body::Body::is_end_stream(request.body());
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answered = router.clone().call(request);
        let take_over = take_over.clone();
        async move {
            let response = answered.await?;
            if !(may_stream && is_stream(&response)) {
                return Ok::<_, std::convert::Infallible>(response);
            }
            match take_over.try_send(response) {
                // From here on hyper has nothing to do, and is dropped.
                Ok(()) => std::future::pending().await,
                Err(TrySendError::Full(response) | TrySendError::Closed(response)) => Ok(response),
            }
        }
    });
    let held_back = Arc::new(AtomicBool::new(false));
    let socket = Watched { socket: TokioIo::new(socket), held_back: Arc::clone(&held_back) };
    let mut hyper = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .serve_connection(socket, answer);
    let taken_over = async move {
        let response = streams.recv().await;
        // A client may have asked before it read the answers to what it asked earlier; those go first. hyper is polled before
        // this, and so this is after each of its writes.
        poll_fn(|_| if held_back.load(Ordering::Relaxed) { Poll::Pending } else { Poll::Ready(()) }).await;
        response
    };
    tokio::pin!(taken_over);
    let mut stopping = false;
    let response = loop {
        tokio::select! {
            biased;
            // An error here is the client's going away, or no HTTP.
            _ = &mut hyper => return,
            response = &mut taken_over => break response,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                Pin::new(&mut hyper).graceful_shutdown();
            }
        }
    };
    if let Some(response) = response {
        let socket = hyper.into_parts().io.socket.into_inner();
        // A task of its own, and the end of this one, which is much larger.
        open.spawn(Stream::new(socket, response).run(stop));
    }
}

fn is_stream(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream")
}

/// hyper's side of the socket. Knows whether hyper has written all that it wanted to write.
struct Watched {
    socket: TokioIo<TcpStream>,
    /// The socket did not take everything; hyper tries again when it can.
    held_back: Arc<AtomicBool>,
}

impl Watched {
    fn note(&self, wanted: usize, written: &Poll<std::io::Result<usize>>) {
        let all = matches!(written, Poll::Ready(Ok(written)) if *written == wanted);
        self.held_back.store(!all, Ordering::Relaxed);
    }
}

impl Read for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl Write for Watched {
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

/// An event stream and its socket: HTTP/1.1, chunked, and the last answer of its connection.
struct Stream {
    socket: TcpStream,
    body: Body,
    /// To be written at once. Empty, without memory, while the stream waits.
    out: Vec<u8>,
}

/// What there is to write.
enum Ready {
    /// `out`.
    Out,
    /// `out`, then this piece.
    Piece(axum::body::Bytes),
    /// `out`, then nothing more.
    End,
}

impl Stream {
    fn new(socket: TcpStream, response: Response) -> Self {
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
        Self { socket, body, out }
    }

    /// Writes until the stream ends or the client goes.
    async fn run(mut self, stop: CancellationToken) {
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
            let out = std::mem::take(&mut self.out);
            self.socket.write_all(&out).await?;
            match ready {
                Ready::Out => {}
                Ready::Piece(piece) => {
                    self.socket.write_all(&piece).await?;
                    self.out.extend_from_slice(b"\r\n");
                }
                Ready::End => return self.socket.shutdown().await,
            }
        }
    }

    /// Collects what the body has. An error if the client has closed, or the body has no orderly end: then the client must
    /// not see one.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<Ready>> {
        while self.out.len() < TOGETHER {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers: there are none.
                    let Ok(piece) = frame.into_data() else { continue };
                    // A chunk of no bytes would be the end.
                    if piece.is_empty() {
                        continue;
                    }
                    let length = format!("{:x}\r\n", piece.len());
                    self.out.extend_from_slice(length.as_bytes());
                    if piece.len() > TOGETHER {
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
                Poll::Pending if self.out.is_empty() => return self.poll_closed(cx).map(Err),
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(Ready::Out))
    }

    /// Ready when the client has closed. What it still says is not heard.
    fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<std::io::Error> {
        let mut unheard = [0; 512];
        loop {
            if let Err(error) = ready!(self.socket.poll_read_ready(cx)) {
                return Poll::Ready(error);
            }
            match self.socket.try_read(&mut unheard) {
                Ok(0) => return Poll::Ready(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(error),
            }
        }
    }
}
