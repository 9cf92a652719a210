//! Closes a connection whose client may still be sending, such as a request body that nobody reads.
//!
//! A socket closed with unread bytes is reset, and the client may lose the response written before (RFC 9112, section
//! 9.6). So incoming bytes are read and discarded for a moment.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a client may take to close its side.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// How many bytes are discarded at most.
const MAX_DISCARDED_BYTES: usize = 32 << 20;

/// Waits until the client closes its side, or its time is over. Our side is shut down already.
pub(super) async fn linger(socket: &TcpStream) {
    let _ = timeout(LINGER_TIMEOUT, drain(socket)).await;
}

async fn drain(socket: &TcpStream) {
    let mut drained = 0;
    while drained < MAX_DISCARDED_BYTES && socket.readable().await.is_ok() {
        // Allocated for each read, since many connections may wait here.
        let mut discarded = [0; 16 * 1024];
        match socket.try_read(&mut discarded) {
            Ok(0) => return,
            Ok(count) => drained += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
