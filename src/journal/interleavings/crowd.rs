//! Readers that sit in a crowd, with the sockets and the streams that lend them played by this.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::PoisonError;
use std::task::Poll;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{SelectAll, unfold};

use super::*;
use crate::journal::sync::{Mutex, MutexGuard};
use crate::journal::{Crowd, Offered, Outlet, Seat};

/// How often each was answered in all scenes of a test.
static TOLD: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

/// A client that checks what it gets, behind a socket that its stream lends. The stream tells the run in both forms, as one of
/// many runs tells several.
struct Socket(Mutex<Lent>);

struct Lent {
    lent: bool,
    owed: Option<Bytes>,
    /// What came in each form.
    clients: [Seen; 2],
}

fn is_named(frames: &[u8]) -> bool {
    let id = &frames[..frames.iter().position(|byte| *byte == b'\n').unwrap()];
    id.contains(&b'-')
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
        if !self.lent || self.owed.is_some() || thread_rng().gen_ratio(1, 5) {
            return Offered::Refused;
        }
        if thread_rng().gen_ratio(1, 4) {
            self.owed = Some(wrapped.clone());
            return Offered::Owed;
        }
        self.write(wrapped.clone());
        Offered::Taken
    }

    fn write(&mut self, bytes: Bytes) {
        assert!(!self.clients[usize::from(is_named(&bytes))].take(Ok(Step::Frames(vec![bytes]))));
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
async fn sit(world: World, companies: [Company; 2], kind: Kind) {
    let clients = [Seen::anywhere(&world), Seen::anywhere(&world)];
    let cursors = [clients[0].cursor, clients[1].cursor];
    let socket = Arc::new(Socket(Mutex::new(Lent { lent: false, owed: None, clients })));
    let mut all = SelectAll::new();
    let mut seats = Vec::new();
    for (index, (company, form)) in companies.into_iter().zip([Form::Plain, Form::Named(id())]).enumerate() {
        let reader = world.attach(cursors[index], form).await;
        let seat = Seat::new(Arc::clone(&socket), reader.cursor());
        seats.push(Arc::clone(&seat));
        let steps = unfold(Some((reader, seat)), move |state| {
            let company = company.clone();
            async move {
                let (mut reader, seat) = state?;
                let crowd = company.of(&reader);
                let next = crowd.next(&mut reader, &seat);
                // Given up now and then, as for a heartbeat.
                let step = match thread_rng().gen_ratio(3, 4) {
                    true => Some(next.await),
                    false => timeout_at(Instant::now(), next).await.ok(),
                };
                let over = matches!(step, Some(Ok(Step::End(_))));
                Some(((index, step), (!over).then_some((reader, seat))))
            }
        });
        all.push(steps.boxed());
    }
    let mut live = seats.len();
    while live > 0 {
        let told = poll_fn(|cx| {
            if kind != Kind::LendsTooLong {
                socket.take_back();
            }
            let mut told = Vec::new();
            while told.len() < 3 {
                match all.poll_next_unpin(cx) {
                    Poll::Ready(Some(step)) => told.push(step),
                    Poll::Pending if told.is_empty() => {
                        socket.lend();
                        return Poll::Pending;
                    }
                    Poll::Ready(None) | Poll::Pending => break,
                }
            }
            socket.take_back();
            Poll::Ready(told)
        })
        .await;
        for (index, step) in told {
            let Some(step) = step else { continue };
            live -= usize::from(socket.lent().clients[index].take(step));
        }
        let written = [0, 1].map(|index| socket.lent().clients[index].cursor);
        let known = [0, 1].map(|index| seats[index].cursor());
        assert_eq!(known, written, "the seats know what was written");
    }
}

pub(super) fn two_that_sit(memory: Memory, kind: Kind) {
    scene(memory, |world| {
        let companies = <[Company; 2]>::default();
        vec![sit(world.clone(), companies.clone(), kind), sit(world.clone(), companies, kind)]
    });
}

#[test]
fn readers_that_sit_together_get_every_frame_once_and_in_order() {
    check(|| two_that_sit(Memory::default(), Kind::Right), 1500);
    let told = |kind| assert!(TOLD[kind as usize].load(Ordering::Relaxed) > 0, "{kind:?} does not happen");
    [Offered::Taken, Offered::Owed, Offered::Refused].into_iter().for_each(told);
}

#[test]
fn a_busy_database_takes_nothing_away_from_those_who_sit() {
    check(|| two_that_sit(Memory::busy(), Kind::Right), 1500);
}

/// Gets what its reader is told, and nothing twice.
struct Inbox(Mutex<u64>);

impl Inbox {
    fn get(&self, bytes: &[u8]) {
        for event in SseParser::new("").push(bytes) {
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
        go_on(&world, AppendFrames { lease: lease(&world) }).await;
        reading.await.unwrap();
    });
}

#[test]
fn a_reader_that_sits_down_misses_nothing() {
    check(|| sits_down_while_the_run_goes_on(false), 10_000);
}

/// The task of a crowd ends when its run is deleted, whether or not it has told the run's end before; and those who sit there get up.
#[test]
fn the_task_of_a_crowd_ends_when_its_run_is_deleted() {
    check(
        || {
            block_on(async {
                let world = claimed().await;
                let mut reader = world.attach(1, Form::Plain).await;
                let (crowd, teller) = Crowd::new(reader.at_head());
                let telling = spawn(teller);
                let seat = Seat::new(Arc::new(Inbox(Mutex::new(1))), 1);
                let reading = spawn(async move {
                    loop {
                        match crowd.next(&mut reader, &seat).await {
                            Ok(Step::Frames(_)) => {}
                            Ok(Step::End(_)) => break,
                            Err(error) => break assert!(matches!(error, StoreError::Gone), "{error}"),
                        }
                    }
                });
                finish(&world).await;
                delete(&world).await;
                world.journal.tails.close(world.run);
                telling.await.unwrap();
                reading.await.unwrap();
            });
        },
        500,
    );
}
