//! Readers that sit in a crowd, with the sockets and the streams that lend them played by this.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::PoisonError;
use std::task::Poll;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::unfold;

use super::*;
use crate::journal::sync::{Mutex, MutexGuard};
use crate::journal::{Crowd, Offered, Outlet, Seat};

/// How often each was answered in all scenes of a test.
static TOLD: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

/// A client that checks what it gets, behind a socket that its stream lends.
struct Socket(Mutex<Lent>);

struct Lent {
    lent: bool,
    owed: Option<Bytes>,
    client: Seen,
}

impl Outlet for Socket {
    fn wrap(pieces: &[Bytes]) -> Bytes {
        pieces.concat().into()
    }

    fn offer(&self, wrapped: &Bytes) -> Offered {
        let offered = self.lent().offer(wrapped);
        TOLD[offered as usize].fetch_add(1, Ordering::Relaxed);
        offered
    }
}

impl Lent {
    fn offer(&mut self, wrapped: &Bytes) -> Offered {
        if !self.lent || thread_rng().gen_ratio(1, 5) {
            return Offered::Refused;
        }
        assert_eq!(self.owed, None, "more is offered before what is owed was written");
        if thread_rng().gen_ratio(1, 4) {
            self.owed = Some(wrapped.clone());
            return Offered::Owed;
        }
        self.write(wrapped.clone());
        Offered::Taken
    }

    fn write(&mut self, bytes: Bytes) {
        assert!(!self.client.take(Ok(Step::Frames(vec![bytes]))));
    }
}

impl Socket {
    /// After a panic too: what panicked first is what is reported.
    fn lent(&self) -> MutexGuard<'_, Lent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_back(&self) {
        let mut socket = self.lent();
        socket.lent = false;
        if let Some(owed) = socket.owed.take() {
            socket.write(owed);
        }
    }

    fn lend(&self) {
        self.lent().lent = true;
    }
}

/// The crowd of the scene's run: told anew when its task has ended, which it may at any moment.
#[derive(Clone, Default)]
struct Company(Arc<std::sync::Mutex<Option<Crowd<Socket>>>>);

impl Company {
    fn of(&self, reader: &Reader) -> Crowd<Socket> {
        let known = self.0.lock().unwrap().clone();
        if let Some(crowd) = known.filter(|crowd| !crowd.is_closed()) {
            return crowd;
        }
        let (crowd, teller) = Crowd::new(reader.at_head());
        spawn(async move {
            if thread_rng().gen_bool(0.5) {
                teller.await;
            } else {
                let _ = timeout_at(Instant::now(), teller).await;
            }
        });
        *self.0.lock().unwrap() = Some(crowd.clone());
        crowd
    }
}

/// A stream, right or wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Lends its socket while it waits, and takes it back before it asks what there is.
    Right,
    /// Takes it back when it has something to write: meanwhile its reader may have sat down again.
    LendsTooLong,
}

/// Reads to the end as a stream does.
async fn sit(world: World, company: Company, kind: Kind) {
    let client = Seen::anywhere(&world);
    let reader = world.attach(client.cursor, Form::Plain).await;
    let socket = Arc::new(Socket(Mutex::new(Lent { lent: false, owed: None, client })));
    let seat = Seat::new(Arc::clone(&socket), reader.cursor());
    let mut steps = unfold((reader, Arc::clone(&seat)), move |(mut reader, seat)| {
        let company = company.clone();
        async move {
            // Given up now and then, as for a heartbeat.
            let step = timeout_at(Instant::now(), company.of(&reader).next(&mut reader, &seat)).await.ok();
            Some((step, (reader, seat)))
        }
    })
    .boxed();
    loop {
        let told = poll_fn(|cx| {
            if kind != Kind::LendsTooLong {
                socket.take_back();
            }
            let mut told = Vec::new();
            while told.len() < 3 {
                match steps.poll_next_unpin(cx) {
                    Poll::Ready(step) => told.push(step.unwrap()),
                    Poll::Pending if told.is_empty() => {
                        socket.lend();
                        return Poll::Pending;
                    }
                    Poll::Pending => break,
                }
            }
            socket.take_back();
            Poll::Ready(told)
        })
        .await;
        let mut socket = socket.lent();
        for step in told.into_iter().flatten() {
            if socket.client.take(step) {
                return;
            }
        }
        let written = socket.client.cursor;
        drop(socket);
        assert_eq!(seat.cursor(), written, "the seat knows what was written");
    }
}

pub(super) fn two_that_sit(kind: Kind) {
    scene(Memory::default(), |world| {
        let company = Company::default();
        vec![sit(world.clone(), company.clone(), kind), sit(world.clone(), company, kind)]
    });
}

#[test]
fn readers_that_sit_together_get_every_frame_once_and_in_order() {
    check(|| two_that_sit(Kind::Right), 3000);
    let told = |kind| assert!(TOLD[kind as usize].load(Ordering::Relaxed) > 0, "{kind:?} does not happen");
    [Offered::Taken, Offered::Owed, Offered::Refused].into_iter().for_each(told);
}

/// Gets what its reader is told, and nothing twice.
struct Inbox(Mutex<u64>);

impl Inbox {
    fn get(&self, bytes: &[u8]) {
        for event in Parser::new("").push(bytes) {
            let mut last = self.0.lock().unwrap();
            *last += 1;
            assert_eq!(event.last_event_id, last.to_string());
        }
    }
}

impl Outlet for Inbox {
    fn wrap(pieces: &[Bytes]) -> Bytes {
        pieces.concat().into()
    }

    fn offer(&self, wrapped: &Bytes) -> Offered {
        self.get(wrapped);
        // So that its reader gets up and looks.
        Offered::Owed
    }
}

/// A reader that has all of it sits down while the run goes on, and no other frame comes that would show what it lacks.
pub(super) fn sits_down_while_the_run_goes_on(blindly: bool) {
    block_on(async {
        let world = claimed().await;
        let mut reader = world.attach(1, Form::Plain).await;
        let (crowd, teller) = Crowd::new(reader.at_head());
        spawn_local(teller);
        let inbox = Arc::new(Inbox(Mutex::new(1)));
        let reading = spawn_local(async move {
            let seat = Seat::new(Arc::clone(&inbox), 1);
            if blindly && reader.is_at_head() {
                crowd.forget();
                crowd.sit_down(&seat);
            }
            let mut next = pin!(crowd.next(&mut reader, &seat));
            poll_fn(|cx| {
                if let Poll::Ready(step) = next.as_mut().poll(cx) {
                    let Ok(Step::Frames(pieces)) = step else { panic!("no frames: {step:?}") };
                    inbox.get(&pieces.concat());
                }
                if *inbox.0.lock().unwrap() == 2 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        });
        go_on(&world, Change::None).await;
        reading.await.unwrap();
    });
}

#[test]
fn a_reader_that_sits_down_misses_nothing() {
    check(|| sits_down_while_the_run_goes_on(false), 10_000);
}
