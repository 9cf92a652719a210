//! The socket of an event stream, shared between the stream and the broadcaster of its run.

use std::time::Instant;

use axum::body::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::net::TcpStream;

use super::chunk::encode_chunk;
use crate::journal::{SendOutcome, Sink};

/// A connection's socket while its stream has released it. It is in the extensions of the connection's requests.
///
/// The stream releases its socket only when idle and flushed, so broadcaster and stream never interleave inside a
/// chunk.
#[derive(Default)]
pub struct SharedSocket(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    socket: Option<TcpStream>,
    /// What the socket did not take. It has to be written before anything else.
    unsent: Bytes,
    last_write_at: Option<Instant>,
}

impl SharedSocket {
    /// When a broadcaster last wrote here.
    pub fn last_write_at(&self) -> Option<Instant> {
        self.lock().last_write_at
    }

    /// Lets broadcasters write to the socket from now on.
    pub(super) fn release(&self, socket: TcpStream) {
        self.lock().socket = Some(socket);
    }

    /// The socket, if it was released, and what has to be written to it first.
    pub(super) fn reclaim(&self) -> Option<(TcpStream, Bytes)> {
        let mut inner = self.lock();
        Some((inner.socket.take()?, std::mem::take(&mut inner.unsent)))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock()
    }
}

impl Sink for SharedSocket {
    fn encode(frames: &[Bytes]) -> Bytes {
        encode_chunk(frames)
    }

    fn try_send(&self, chunk: &Bytes) -> SendOutcome {
        let mut inner = self.lock();
        let Some(socket) = inner.socket.as_ref().filter(|_| inner.unsent.is_empty()) else {
            return SendOutcome::Refused;
        };
        // The stream meets the same error after it has reclaimed the socket.
        let Ok(written) = socket.try_write(chunk) else { return SendOutcome::Refused };
        inner.last_write_at = Some(Instant::now());
        if written == chunk.len() {
            return SendOutcome::Sent;
        }
        inner.unsent = chunk.slice(written..);
        SendOutcome::Partial
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// A socket with a small buffer, and its client.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(4096).unwrap();
        let client = client.connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0, client)
    }

    #[tokio::test]
    async fn shared_socket_keeps_what_it_could_not_send() {
        let (socket, mut client) = pair().await;
        let shared = SharedSocket::default();
        let [small, large] = [b"small".to_vec(), vec![b'x'; 1 << 24]].map(|data| SharedSocket::encode(&[data.into()]));
        assert_eq!(small, "5\r\nsmall\r\n".as_bytes());
        assert_eq!(shared.try_send(&small), SendOutcome::Refused, "nothing is released");
        shared.release(socket);
        assert_eq!(shared.try_send(&small), SendOutcome::Sent);
        assert_eq!(shared.try_send(&large), SendOutcome::Partial);
        assert_eq!(shared.try_send(&small), SendOutcome::Refused);
        let (socket, unsent) = shared.reclaim().unwrap();
        assert!(shared.reclaim().is_none());
        assert_eq!(shared.try_send(&small), SendOutcome::Refused);

        let expected = [&small[..], &large].concat();
        let mut got = vec![0; expected.len() - unsent.len()];
        client.read_exact(&mut got).await.unwrap();
        got.extend_from_slice(&unsent);
        assert!(got == expected);

        // The socket can be released again.
        shared.release(socket);
        assert_eq!(shared.try_send(&small), SendOutcome::Sent);
    }
}
