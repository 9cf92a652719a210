//! The socket of an event stream, shared to whoever tells many streams the same thing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::body::Bytes;
use tokio::net::TcpStream;

use super::stream_writer::chunk;
use crate::journal::{SendOutcome, Sink};

/// A connection's socket while it is shared; in the extensions of its requests. Its stream lends it exactly while it has nothing of
/// its own to say and everything is written, so whole chunks are written here and there, one after another.
#[derive(Default)]
pub struct SharedSocket(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    socket: Option<TcpStream>,
    /// What the socket did not take. It comes before anything else.
    unsent: Bytes,
    last_write_at: Option<Instant>,
}

impl SharedSocket {
    /// When something was written here last.
    pub fn last_write_at(&self) -> Option<Instant> {
        self.shared().last_write_at
    }

    /// From now on others may write.
    pub(super) fn release(&self, socket: TcpStream) {
        self.shared().socket = Some(socket);
    }

    /// The socket, if it was shared, and what has to be written first.
    pub(super) fn reclaim(&self) -> Option<(TcpStream, Bytes)> {
        let mut shared = self.shared();
        Some((shared.socket.take()?, std::mem::take(&mut shared.unsent)))
    }

    /// The lock, even after a panic elsewhere: what it guards is valid between any two statements.
    fn shared(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for SharedSocket {
    fn encode(pieces: &[Bytes]) -> Bytes {
        chunk(pieces)
    }

    fn try_send(&self, wrapped: &Bytes) -> SendOutcome {
        let mut shared = self.shared();
        let Some(socket) = shared.socket.as_ref().filter(|_| shared.unsent.is_empty()) else {
            return SendOutcome::Refused;
        };
        // An error is found again by the stream that shared the socket.
        let Ok(written) = socket.try_write(wrapped) else { return SendOutcome::Refused };
        shared.last_write_at = Some(Instant::now());
        if written == wrapped.len() {
            return SendOutcome::Sent;
        }
        shared.unsent = wrapped.slice(written..);
        SendOutcome::Partial
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// A socket that takes little, and the client's.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(4096).unwrap();
        let client = client.connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0, client)
    }

    #[tokio::test]
    async fn what_the_socket_does_not_take_is_owed_and_nothing_overtakes_it() {
        let (socket, mut client) = pair().await;
        let shared = SharedSocket::default();
        let [small, large] =
            [b"small".to_vec(), vec![b'x'; 1 << 24]].map(|piece| SharedSocket::encode(&[piece.into()]));
        assert_eq!(small, "5\r\nsmall\r\n".as_bytes());
        assert_eq!(shared.try_send(&small), SendOutcome::Refused, "nothing is shared");
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

        // It is as good as before.
        shared.release(socket);
        assert_eq!(shared.try_send(&small), SendOutcome::Sent);
    }
}
