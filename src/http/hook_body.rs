//! The bodies of hooks: read before anybody has proved anything, so their memory is bounded and taken only for what has come.
//!
//! A small body takes nothing. A larger one takes room for its bytes as they arrive, never for those that it promises, so a
//! connection that sends nothing holds nothing. Clients that have proved a secret before have a room of their own, which
//! strangers cannot fill.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::StreamExt;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::body::{MAX_HOOK, problem};
use crate::model::{Problem, ProblemCode};

/// A body up to this size takes no room.
const SMALL_BODY: usize = 64 << 10;

/// How many KiB the larger bodies of strangers, and those of known clients, may take, besides one that may always go on.
const ROOM_KIB: usize = 32 << 10;

/// How many KiB are taken at a time.
const STEP_KIB: u32 = 256;

/// How long a body may take with all it waits for. Forges wait no longer for their answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The memory for bodies.
#[derive(Debug, Default)]
pub struct BodyRoom {
    known: Pool,
    strangers: Pool,
}

/// The memory for bodies of one kind of client.
#[derive(Debug)]
struct Pool {
    /// In KiB.
    free: Semaphore,
    /// Held by the one body that goes on when nothing is free: else many that are half there would wait for each other.
    turn: Semaphore,
}

impl Default for Pool {
    fn default() -> Self {
        Self { free: Semaphore::new(ROOM_KIB), turn: Semaphore::new(1) }
    }
}

/// What a body takes of the room, until it is dropped.
#[derive(Debug, Default)]
pub struct Held<'a> {
    permits: Option<SemaphorePermit<'a>>,
    turn: Option<SemaphorePermit<'a>>,
}

impl<'a> Held<'a> {
    /// Takes so much that a body of this size fits.
    async fn grow(&mut self, pool: &'a Pool, size: usize) {
        loop {
            let has = self.permits.as_ref().map_or(0, SemaphorePermit::num_permits) * 1024;
            if size <= SMALL_BODY.max(has) || self.turn.is_some() {
                return;
            }
            // Neither is ever closed.
            tokio::select! {
                biased;
                Ok(more) = pool.free.acquire_many(STEP_KIB) => match &mut self.permits {
                    Some(permits) => permits.merge(more),
                    None => self.permits = Some(more),
                },
                Ok(turn) = pool.turn.acquire() => self.turn = Some(turn),
                else => return,
            }
        }
    }
}

/// What is known of a sender before its body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// It has proved a secret before.
    Known,
    /// Nothing is known of it.
    Stranger,
    /// Its wrong signatures wait for their answers: only a small body of it is read.
    Suspect,
}

impl BodyRoom {
    /// Reads a body of this declared size, and what it takes of the room.
    ///
    /// # Errors
    /// [`ProblemCode::BodyTooLarge`]; [`ProblemCode::RequestTimeout`] if it does not arrive in time; [`ProblemCode::InvalidBody`] if it does not arrive
    /// whole; [`ProblemCode::TooManyAttempts`] for a large body of a suspect.
    pub async fn read(&self, sender: Sender, size: Option<u64>, body: Body) -> Result<(Bytes, Held<'_>), Problem> {
        let late = |_| Problem::new(ProblemCode::RequestTimeout, "The body did not arrive in time.");
        tokio::time::timeout(PATIENCE, self.read_patiently(sender, size, body)).await.map_err(late)?
    }

    async fn read_patiently(
        &self,
        sender: Sender,
        size: Option<u64>,
        body: Body,
    ) -> Result<(Bytes, Held<'_>), Problem> {
        let declared = size.and_then(|size| usize::try_from(size).ok()).unwrap_or_default();
        if sender == Sender::Suspect && declared > SMALL_BODY {
            return Err(suspect());
        }
        let too_large =
            || Problem::new(ProblemCode::BodyTooLarge, format!("A body has at most {MAX_HOOK} bytes here."));
        if declared > MAX_HOOK {
            return Err(too_large());
        }
        let pool = if sender == Sender::Known { &self.known } else { &self.strangers };
        let (mut bytes, mut held, mut size) = (Vec::new(), Held::default(), 0);
        let mut pieces = body.into_data_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| problem(&error))?;
            size += piece.len();
            if size > MAX_HOOK {
                return Err(too_large());
            }
            if sender == Sender::Suspect && size > SMALL_BODY {
                return Err(suspect());
            }
            held.grow(pool, size).await;
            bytes.extend_from_slice(&piece);
        }
        Ok((bytes.into(), held))
    }
}

fn suspect() -> Problem {
    let detail = "Wrong signatures from your address wait for their answers. Large bodies are read again after that.";
    Problem::new(ProblemCode::TooManyAttempts, detail)
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn of(pieces: usize, size: usize) -> Body {
        let piece = Bytes::from(vec![b'x'; size]);
        let all = stream::iter((0..pieces).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
        // One piece at a time, so that bodies take turns.
        Body::from_stream(all.then(async |piece| {
            tokio::task::yield_now().await;
            piece
        }))
    }

    /// A body that begins and then sends nothing.
    fn stalled(size: usize) -> Body {
        let first = stream::once(async move { Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; size])) });
        Body::from_stream(first.chain(stream::pending()))
    }

    fn free(pool: &Pool) -> usize {
        pool.free.available_permits()
    }

    #[tokio::test(start_paused = true)]
    async fn small_bodies_take_no_room_and_large_ones_what_has_come() {
        let room = BodyRoom::default();
        let (bytes, held) = room.read(Sender::Stranger, None, of(4, 16 << 10)).await.unwrap();
        assert_eq!((bytes.len(), free(&room.strangers)), (64 << 10, ROOM_KIB));
        drop(held);
        let (bytes, held) = room.read(Sender::Stranger, Some(6 << 20), of(6, 1 << 20)).await.unwrap();
        assert_eq!((bytes.len(), free(&room.strangers)), (6 << 20, ROOM_KIB - (6 << 10)));
        assert_eq!(free(&room.known), ROOM_KIB);
        drop(held);
        assert_eq!(free(&room.strangers), ROOM_KIB);
    }

    #[tokio::test(start_paused = true)]
    async fn body_that_promises_much_and_sends_nothing_is_in_nobodys_way() {
        let room = BodyRoom::default();
        let waits = (0..1000).map(|_| room.read(Sender::Stranger, Some(25 << 20), stalled(100)));
        let waits = futures::future::join_all(waits);
        let all = async {
            let (bytes, _held) = room.read(Sender::Stranger, None, of(25, 1 << 20)).await.unwrap();
            assert_eq!(bytes.len(), 25 << 20);
        };
        let begun = tokio::time::Instant::now();
        tokio::select! {
            () = all => {}
            _ = waits => panic!("the others came first"),
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        let refused = room.read(Sender::Stranger, None, stalled(100)).await.unwrap_err();
        assert_eq!(refused.code, ProblemCode::RequestTimeout);
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_that_fill_their_room_are_in_no_known_clients_way() {
        let room = BodyRoom::default();
        let full = futures::future::join_all((0..3).map(|_| room.read(Sender::Stranger, None, stalled(24 << 20))));
        let known = async {
            tokio::task::yield_now().await;
            room.read(Sender::Known, None, of(20, 1 << 20)).await.unwrap().0.len()
        };
        tokio::select! {
            biased;
            _ = full => panic!("these never end"),
            size = known => assert_eq!(size, 20 << 20),
        }
    }

    /// Far more at once than there is room for: all of them come through.
    #[tokio::test(start_paused = true)]
    async fn bodies_do_not_wait_for_each_other_for_ever() {
        let room = BodyRoom::default();
        let one = async || room.read(Sender::Stranger, None, of(24, 1 << 20)).await.map(|(bytes, _)| bytes.len());
        let all = futures::future::join_all((0..20).map(|_| one())).await;
        assert!(all.iter().all(|read| read.as_ref().is_ok_and(|size| *size == 24 << 20)), "{all:?}");
        assert_eq!((free(&room.strangers), room.strangers.turn.available_permits()), (ROOM_KIB, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_are_too_large_or_of_suspects_are_refused() {
        let room = BodyRoom::default();
        for (sender, size, body, code) in [
            (Sender::Known, None, of(26, 1 << 20), ProblemCode::BodyTooLarge),
            (Sender::Known, Some(26 << 20), of(1, 10), ProblemCode::BodyTooLarge),
            (Sender::Suspect, Some(1 << 20), stalled(0), ProblemCode::TooManyAttempts),
            (Sender::Suspect, None, of(2, 64 << 10), ProblemCode::TooManyAttempts),
        ] {
            assert_eq!(room.read(sender, size, body).await.unwrap_err().code, code, "{sender:?} {size:?}");
        }
        assert!(room.read(Sender::Suspect, Some(100), of(1, 100)).await.is_ok());
        assert_eq!(free(&room.strangers), ROOM_KIB);
    }
}
