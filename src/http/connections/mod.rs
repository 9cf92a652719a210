//! Connections. hyper reads requests and writes answers; an event stream leaves hyper once its answer is known, and its bytes
//! are written by [`stream`]. Knows no runs: whatever answers with `text/event-stream` is one. How many there may be says
//! [`register`].

mod body_end;
mod first_request_limiter;
mod linger;
mod refuse;
mod registry;
mod shared_socket;
mod stream_writer;
mod write_tracker;

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
use first_request_limiter::FirstRequestLimiter;
use linger::linger;
use refuse::Refuser;
pub use registry::{ConnectionLimits, ConnectionRegistry};
use registry::{ConnectionSlot, ConnectionState};
pub use shared_socket::SharedSocket;
use stream_writer::StreamWriter;
use write_tracker::WriteTracker;

use super::guard::Client;

/// How long a client may take to send the head of its request.
const HEAD_LIMIT: Duration = Duration::from_secs(30);

/// The longest head of a request, in bytes: a browser with all the cookies that a host may set sends less.
const HEAD_SIZE: usize = 32 << 10;

/// The most header lines of a request.
const HEAD_LINES: usize = 64;

/// The most bytes that hyper reads ahead, or holds back, of one connection.
const BUFFER: usize = 64 << 10;

/// When the system has no descriptor left for a connection, how long to wait for one.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// Serves until `stop`, then waits until every connection has ended.
pub async fn serve(listener: TcpListener, router: Router, register: Arc<ConnectionRegistry>, stop: CancellationToken) {
    let open = TaskTracker::new();
    let shared = Shared { router, stop: stop.clone(), open: open.clone(), turns: FirstRequestLimiter::default() };
    let mut refuser = Refuser::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                // What is written is complete; it must not wait for what was written before to be acknowledged.
                let _ = socket.set_nodelay(true);
                match register.admit(Client::at(Some(peer.ip()))).await {
                    Ok(slot) => drop(open.spawn(connection(socket, peer, slot, shared.clone()))),
                    Err(full) => refuser.refuse(socket, peer, full),
                }
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

/// What all connections share.
#[derive(Clone)]
struct Shared {
    router: Router,
    stop: CancellationToken,
    open: TaskTracker,
    turns: FirstRequestLimiter,
}

/// One connection, as long as hyper has it.
async fn connection(socket: TcpStream, peer: SocketAddr, slot: ConnectionSlot, shared: Shared) {
    let Shared { router, stop, open, turns } = shared;
    let turn = tokio::select! {
        turn = turns.wait(&socket) => turn,
        () = stop.cancelled() => None,
        () = slot.eviction() => None,
    };
    let slot = Arc::new(slot);
    let request_slot = Arc::clone(&slot);
    let Some(turn) = turn else { return };
    let (take_over, mut streams) = mpsc::channel::<Response>(1);
    let shared = Arc::new(SharedSocket::default());
    let lent_of_requests = Arc::clone(&shared);
    let answer = service_fn(move |request: Request<Incoming>| {
        let may_stream = request.method() == Method::GET
            && request.version() == Version::HTTP_11
            && hyper::body::Body::is_end_stream(request.body());
        let slot = Arc::clone(&request_slot);
        let mut request = if hyper::body::Body::is_end_stream(request.body()) {
            slot.set(ConnectionState::Busy);
            request.map(Body::new)
        } else {
            slot.set(ConnectionState::ReceivingBody);
            let slot = Arc::clone(&slot);
            request.map(|body| Body::new(BodyWithEndHook::new(body, move || slot.body_received())))
        };
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(Arc::clone(&lent_of_requests));
        let answered = router.clone().call(request);
        let take_over = take_over.clone();
        let turn = turn.clone();
        async move {
            let response = answered.await?;
            turn.release();
            if !is_stream(&response) {
                slot.set(ConnectionState::Busy);
                let idle = move || slot.set(ConnectionState::Idle);
                return Ok::<_, std::convert::Infallible>(
                    response.map(|body| Body::new(BodyWithEndHook::new(body, idle))),
                );
            }
            if !may_stream {
                return Ok(response);
            }
            match take_over.try_send(response) {
                // From here on hyper has nothing to do, and is dropped.
                Ok(()) => std::future::pending().await,
                Err(TrySendError::Full(response) | TrySendError::Closed(response)) => Ok(response),
            }
        }
    });
    let (socket, held_back) = WriteTracker::new(socket);
    let mut hyper = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_header_size(HEAD_SIZE)
        .max_headers(HEAD_LINES)
        .max_buf_size(BUFFER)
        .serve_connection(socket, answer);
    let taken_over = async move {
        let response = streams.recv().await;
        // A client may have asked before it read the answers to what it asked earlier; those go first. hyper is polled before
        // this, and so this is after each of its writes.
        poll_fn(|_| if held_back.is() { Poll::Pending } else { Poll::Ready(()) }).await;
        response
    };
    tokio::pin!(taken_over);
    let mut closing = false;
    let response = loop {
        tokio::select! {
            biased;
            ended = &mut hyper => {
                let hears = ended.map_or_else(|error| error.is_parse(), |()| true);
                if hears && !closing {
                    let socket = hyper.into_parts().io.into_inner();
                    open.spawn(last_words(socket, slot, stop));
                }
                return;
            }
            response = &mut taken_over => break response,
            () = stop.cancelled(), if !closing => {
                closing = true;
                Pin::new(&mut hyper).graceful_shutdown();
            }
            () = slot.eviction(), if !closing => {
                if !slot.was_answered() {
                    return;
                }
                closing = true;
                Pin::new(&mut hyper).graceful_shutdown();
            }
        }
    };
    if let Some(response) = response {
        let socket = hyper.into_parts().io.into_inner();
        // A task of its own, and the end of this one, which is much larger.
        open.spawn(async move {
            StreamWriter::new(socket, shared, response).run(stop).await;
            drop(slot);
        });
    }
}

/// Waits for a client to close that may not have read its answer yet.
async fn last_words(socket: TcpStream, slot: Arc<ConnectionSlot>, stop: CancellationToken) {
    slot.set(ConnectionState::AwaitingRequest);
    tokio::select! {
        () = linger(&socket) => {}
        () = stop.cancelled() => {}
        () = slot.eviction() => {}
    }
}

fn is_stream(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream")
}
