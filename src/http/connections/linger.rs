//! The end of a connection whose client may still be sending: a request's body that nobody reads, say.
//!
//! A socket that is closed with unread bytes is reset, and the client may lose the answer that was written before (RFC 9112,
//! section 9.6). So what still comes is thrown away for a moment.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a client may take to close its side.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many bytes are thrown away at most.
const MOST: usize = 32 << 20;

/// Waits until the client has closed, or has had its time. Our side is shut down already.
pub(super) async fn linger(socket: &TcpStream) {
    let _ = timeout(PATIENCE, drain(socket)).await;
}

async fn drain(socket: &TcpStream) {
    let mut drained = 0;
    while drained < MOST && socket.readable().await.is_ok() {
        // Not kept while it waits: there may be many.
        let mut unheard = [0; 16 * 1024];
        match socket.try_read(&mut unheard) {
            Ok(0) => return,
            Ok(count) => drained += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
