//! The socket of an event stream, lent to whoever tells many streams the same thing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::body::Bytes;
use tokio::net::TcpStream;

use super::stream::chunk;
use crate::journal::{Offered, Outlet};

/// A connection's socket while it is lent; in the extensions of its requests. Its stream lends it exactly while it has nothing of
/// its own to say and everything is written, so whole chunks are written here and there, one after another.
#[derive(Default)]
pub struct LentSocket(Mutex<Lent>);

#[derive(Default)]
struct Lent {
    socket: Option<TcpStream>,
    /// What the socket did not take. It comes before anything else.
    owed: Bytes,
    told_at: Option<Instant>,
}

impl LentSocket {
    /// When something was written here last.
    pub fn told_at(&self) -> Option<Instant> {
        self.lent().told_at
    }

    /// From now on others may write.
    pub(super) fn lend(&self, socket: TcpStream) {
        self.lent().socket = Some(socket);
    }

    /// The socket, if it was lent, and what has to be written first.
    pub(super) fn take_back(&self) -> Option<(TcpStream, Bytes)> {
        let mut lent = self.lent();
        Some((lent.socket.take()?, std::mem::take(&mut lent.owed)))
    }

    /// The lock, even after a panic elsewhere: what it guards is valid between any two statements.
    fn lent(&self) -> MutexGuard<'_, Lent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outlet for LentSocket {
    fn wrap(pieces: &[Bytes]) -> Bytes {
        chunk(pieces)
    }

    fn offer(&self, wrapped: &Bytes) -> Offered {
        let mut lent = self.lent();
        let Some(socket) = lent.socket.as_ref().filter(|_| lent.owed.is_empty()) else { return Offered::Refused };
        // An error is found again by the stream that lent the socket.
        let Ok(written) = socket.try_write(wrapped) else { return Offered::Refused };
        lent.told_at = Some(Instant::now());
        if written == wrapped.len() {
            return Offered::Taken;
        }
        lent.owed = wrapped.slice(written..);
        Offered::Owed
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
        let lent = LentSocket::default();
        let [small, large] = [b"small".to_vec(), vec![b'x'; 1 << 24]].map(|piece| LentSocket::wrap(&[piece.into()]));
        assert_eq!(small, "5\r\nsmall\r\n".as_bytes());
        assert_eq!(lent.offer(&small), Offered::Refused, "nothing is lent");
        lent.lend(socket);
        assert_eq!(lent.offer(&small), Offered::Taken);
        assert_eq!(lent.offer(&large), Offered::Owed);
        assert_eq!(lent.offer(&small), Offered::Refused);
        let (socket, owed) = lent.take_back().unwrap();
        assert!(lent.take_back().is_none());
        assert_eq!(lent.offer(&small), Offered::Refused);

        let expected = [&small[..], &large].concat();
        let mut got = vec![0; expected.len() - owed.len()];
        client.read_exact(&mut got).await.unwrap();
        got.extend_from_slice(&owed);
        assert!(got == expected);

        // It is as good as before.
        lent.lend(socket);
        assert_eq!(lent.offer(&small), Offered::Taken);
    }
}
