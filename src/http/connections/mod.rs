//! TCP connections. hyper reads requests and writes responses. A response with `text/event-stream` leaves hyper, and
//! [`stream_writer`] writes it. [`registry`] limits how many connections there are.

mod body_end;
mod chunk;
mod first_request_limiter;
mod linger;
mod refuse;
mod registry;
mod shared_socket;
mod stream_writer;
mod write_tracker;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, Version, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use body_end::BodyWithEndHook;
use first_request_limiter::{FirstRequestLimiter, FirstRequestPermit};
use linger::linger;
use refuse::Refuser;
pub use registry::{ConnectionLimits, ConnectionRegistry};
use registry::{ConnectionSlot, ConnectionState};
pub use shared_socket::SharedSocket;
use stream_writer::StreamWriter;
use write_tracker::{WriteBlocked, WriteTracker};

use super::guard::Client;

/// How long a client may take to send the header section of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest header section of a request. A browser with all the cookies that a host may set sends less.
const MAX_HEADER_SECTION_BYTES: usize = 32 << 10;

/// The most header lines of a request.
const MAX_HEADERS: usize = 64;

/// The most bytes that hyper buffers for one connection.
const MAX_BUFFER_BYTES: usize = 64 << 10;

/// The wait after accept(2) has failed, for example for lack of descriptors.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Serves until `stop`, then waits until every connection has ended.
pub async fn serve(listener: TcpListener, router: Router, registry: Arc<ConnectionRegistry>, stop: CancellationToken) {
    let open = TaskTracker::new();
    let first_requests = FirstRequestLimiter::default();
    let shared = Shared { router, stop: stop.clone(), open: open.clone(), first_requests };
    let mut refuser = Refuser::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                // Each write is a complete event or response, and must not wait for the acknowledgement of the one
                // before.
                let _ = socket.set_nodelay(true);
                match registry.admit(Client::at(Some(peer.ip()))).await {
                    Ok(slot) => drop(open.spawn(connection(socket, peer, slot, shared.clone()))),
                    Err(reason) => refuser.refuse(socket, peer, reason),
                }
            }
            // The client has closed the connection before it was accepted.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
    drop(listener);
    open.close();
    open.wait().await;
}

/// What all connections share.
#[derive(Clone)]
struct Shared {
    router: Router,
    stop: CancellationToken,
    open: TaskTracker,
    first_requests: FirstRequestLimiter,
}

/// One connection, as long as hyper serves it.
async fn connection(socket: TcpStream, peer: SocketAddr, slot: ConnectionSlot, shared: Shared) {
    let Shared { router, stop, open, first_requests } = shared;
    let permit = tokio::select! {
        permit = first_requests.acquire(&socket) => permit,
        () = stop.cancelled() => None,
        () = slot.evicted() => None,
    };
    let slot = Arc::new(slot);
    let Some(permit) = permit else { return };
    let (take_over, streams) = mpsc::channel::<Response>(1);
    let shared_socket = Arc::new(SharedSocket::default());
    let handler =
        RequestHandler { router, peer, slot: Arc::clone(&slot), socket: Arc::clone(&shared_socket), permit, take_over };
    let (socket, write_blocked) = WriteTracker::new(socket);
    let mut hyper = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_header_size(MAX_HEADER_SECTION_BYTES)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(socket, service_fn(move |request| handler.handle(request)));
    let stream = next_stream(streams, write_blocked);
    tokio::pin!(stream);
    let mut is_closing = false;
    let response = loop {
        tokio::select! {
            // `next_stream` relies on this order.
            biased;
            ended = &mut hyper => {
                let can_read = ended.map_or_else(|error| error.is_parse(), |()| true);
                if can_read && !is_closing {
                    let socket = hyper.into_parts().io.into_inner();
                    open.spawn(linger_until_stop(socket, slot, stop));
                }
                return;
            }
            response = &mut stream => break response,
            () = stop.cancelled(), if !is_closing => {
                is_closing = true;
                Pin::new(&mut hyper).graceful_shutdown();
            }
            () = slot.evicted(), if !is_closing => {
                if !slot.has_request() {
                    return;
                }
                is_closing = true;
                Pin::new(&mut hyper).graceful_shutdown();
            }
        }
    };
    if let Some(response) = response {
        let socket = hyper.into_parts().io.into_inner();
        // In a task of its own: this task has the much larger state of hyper.
        open.spawn(async move {
            StreamWriter::new(socket, shared_socket, response).run(stop).await;
            drop(slot);
        });
    }
}

/// Waits for a stream that leaves hyper.
///
/// A client may send its request for a stream before it has read earlier responses, which have to go first. hyper is
/// polled before this future, so `write_blocked` is up to date with each of its writes.
async fn next_stream(mut streams: mpsc::Receiver<Response>, write_blocked: WriteBlocked) -> Option<Response> {
    let response = streams.recv().await;
    poll_fn(|_| if write_blocked.is_set() { Poll::Pending } else { Poll::Ready(()) }).await;
    response
}

/// Answers the requests of one connection.
struct RequestHandler {
    router: Router,
    peer: SocketAddr,
    slot: Arc<ConnectionSlot>,
    socket: Arc<SharedSocket>,
    permit: FirstRequestPermit,
    /// Takes the responses that leave hyper.
    take_over: mpsc::Sender<Response>,
}

impl RequestHandler {
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        let has_no_body = hyper::body::Body::is_end_stream(request.body());
        let can_stream = request.method() == Method::GET && request.version() == Version::HTTP_11 && has_no_body;
        let slot = Arc::clone(&self.slot);
        let mut request = if has_no_body {
            slot.set(ConnectionState::Busy);
            request.map(Body::new)
        } else {
            slot.set(ConnectionState::ReceivingBody);
            let slot = Arc::clone(&slot);
            request.map(|body| Body::new(BodyWithEndHook::new(body, move || slot.body_received())))
        };
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request.extensions_mut().insert(Arc::clone(&self.socket));
        let response = self.router.clone().call(request);
        let (take_over, permit) = (self.take_over.clone(), self.permit.clone());
        async move {
            let response = response.await?;
            permit.release();
            if !is_stream(&response) {
                slot.set(ConnectionState::Busy);
                let on_end = move || slot.set(ConnectionState::Idle);
                return Ok(response.map(|body| Body::new(BodyWithEndHook::new(body, on_end))));
            }
            if !can_stream {
                return Ok(response);
            }
            match take_over.try_send(response) {
                // hyper has nothing more to do and is dropped.
                Ok(()) => std::future::pending().await,
                Err(TrySendError::Full(response) | TrySendError::Closed(response)) => Ok(response),
            }
        }
    }
}

/// Waits until a client that may not have read its response yet closes the connection.
async fn linger_until_stop(socket: TcpStream, slot: Arc<ConnectionSlot>, stop: CancellationToken) {
    slot.set(ConnectionState::AwaitingRequest);
    tokio::select! {
        () = linger(&socket) => {}
        () = stop.cancelled() => {}
        () = slot.evicted() => {}
    }
}

fn is_stream(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream")
}
