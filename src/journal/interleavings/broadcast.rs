//! Members of broadcast groups under the model checker. Their sockets, and the streams that release them, are played by
//! this file.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::PoisonError;
use std::task::Poll;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{SelectAll, unfold};

use super::*;
use crate::journal::broadcast::lock;
use crate::journal::sync::{Mutex, MutexGuard};
use crate::journal::{BroadcastGroup, Member, SendOutcome, Sink};

/// How often each outcome occurred in all scenes of a test.
static OUTCOMES: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

/// A client that checks what it receives, behind a socket that its stream releases. The stream carries the run in both
/// encodings, as one of several runs does.
struct Socket(Mutex<SocketState>);

struct SocketState {
    is_released: bool,
    unsent: Option<Bytes>,
    /// What was received in each encoding.
    clients: [Received; 2],
}

fn is_named(frames: &[u8]) -> bool {
    let id = &frames[..frames.iter().position(|byte| *byte == b'\n').unwrap()];
    id.contains(&b'-')
}

impl Sink for Socket {
    fn encode(pieces: &[Bytes]) -> Bytes {
        pieces.concat().into()
    }

    fn try_send(&self, chunk: &Bytes) -> SendOutcome {
        let offered = self.lock().try_send(chunk);
        OUTCOMES[offered as usize].fetch_add(1, Ordering::Relaxed);
        offered
    }
}

impl SocketState {
    fn try_send(&mut self, chunk: &Bytes) -> SendOutcome {
        if !self.is_released || self.unsent.is_some() || thread_rng().gen_ratio(1, 5) {
            return SendOutcome::Refused;
        }
        if thread_rng().gen_ratio(1, 4) {
            self.unsent = Some(chunk.clone());
            return SendOutcome::Partial;
        }
        self.write(chunk.clone());
        SendOutcome::Sent
    }

    fn write(&mut self, bytes: Bytes) {
        assert!(!self.clients[usize::from(is_named(&bytes))].record(Ok(ReadStep::Frames(vec![bytes]))));
    }
}

impl Socket {
    /// Also after a panic, so that the first panic is the one reported.
    fn lock(&self) -> MutexGuard<'_, SocketState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reclaim(&self) {
        let mut socket = self.lock();
        socket.is_released = false;
        if let Some(unsent) = socket.unsent.take() {
            socket.write(unsent);
        }
    }

    fn release(&self) {
        self.lock().is_released = true;
    }
}

/// The broadcast group of the scene's run. It is created anew when its broadcaster has ended, which may happen at any
/// moment.
#[derive(Clone, Default)]
struct SharedGroup(Arc<std::sync::Mutex<Option<BroadcastGroup<Socket>>>>);

impl SharedGroup {
    fn of(&self, reader: &Reader) -> BroadcastGroup<Socket> {
        let known = self.0.lock().unwrap().clone();
        if let Some(group) = known.filter(|group| !group.is_closed()) {
            return group;
        }
        let (group, broadcaster) = BroadcastGroup::new(reader.at_head(), SMALL_GROUPS);
        spawn(async move {
            if thread_rng().gen_bool(0.5) {
                broadcaster.await;
            } else {
                let _ = timeout_at(Instant::now(), broadcaster).await;
            }
        });
        *self.0.lock().unwrap() = Some(group.clone());
        group
    }
}

/// How a stream handles its socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamKind {
    /// Releases it while idle, and reclaims it before it polls its readers.
    Correct,
    /// Reclaims it only when it has something to write. Meanwhile its reader may have joined again.
    ReclaimsLate,
}

/// Reads to the end as a stream does.
async fn stream_both_encodings(world: World, groups: [SharedGroup; 2], kind: StreamKind) {
    let clients = [Received::from_random_cursor(&world), Received::from_random_cursor(&world)];
    let cursors = [clients[0].cursor, clients[1].cursor];
    let socket = Arc::new(Socket(Mutex::new(SocketState { is_released: false, unsent: None, clients })));
    let mut all = SelectAll::new();
    let mut members = Vec::new();
    for (index, (group, encoding)) in
        groups.into_iter().zip([FrameEncoding::Single, FrameEncoding::Multiplexed(id())]).enumerate()
    {
        let reader = world.subscribe(cursors[index], encoding).await;
        let member = Member::new(Arc::clone(&socket), reader.cursor());
        members.push(Arc::clone(&member));
        let steps = unfold(Some((reader, member)), move |state| {
            let group = group.clone();
            async move {
                let (mut reader, member) = state?;
                let group = group.of(&reader);
                let next = group.next(&mut reader, &member);
                // Cancelled now and then, as by a heartbeat.
                let step = match thread_rng().gen_ratio(3, 4) {
                    true => Some(next.await),
                    false => timeout_at(Instant::now(), next).await.ok(),
                };
                let over = matches!(step, Some(Ok(ReadStep::End(_))));
                Some(((index, step), (!over).then_some((reader, member))))
            }
        });
        all.push(steps.boxed());
    }
    let mut live = members.len();
    while live > 0 {
        let steps = poll_fn(|cx| {
            if kind != StreamKind::ReclaimsLate {
                socket.reclaim();
            }
            let mut steps = Vec::new();
            while steps.len() < 3 {
                match all.poll_next_unpin(cx) {
                    Poll::Ready(Some(step)) => steps.push(step),
                    Poll::Pending if steps.is_empty() => {
                        socket.release();
                        return Poll::Pending;
                    }
                    Poll::Ready(None) | Poll::Pending => break,
                }
            }
            socket.reclaim();
            Poll::Ready(steps)
        })
        .await;
        for (index, step) in steps {
            let Some(step) = step else { continue };
            live -= usize::from(socket.lock().clients[index].record(step));
        }
        let written = [0, 1].map(|index| socket.lock().clients[index].cursor);
        let known = [0, 1].map(|index| members[index].cursor());
        assert_eq!(known, written, "the members know what was written");
    }
}

pub(super) fn two_streams(memory: Memory, kind: StreamKind) {
    run_scene(memory, |world| {
        let groups = <[SharedGroup; 2]>::default();
        vec![
            stream_both_encodings(world.clone(), groups.clone(), kind),
            stream_both_encodings(world.clone(), groups, kind),
        ]
    });
}

#[test]
fn group_members_get_every_frame_once_in_order() {
    check(|| two_streams(Memory::default(), StreamKind::Correct), 1500);
    let occurs = |kind| assert!(OUTCOMES[kind as usize].load(Ordering::Relaxed) > 0, "{kind:?} does not happen");
    [SendOutcome::Sent, SendOutcome::Partial, SendOutcome::Refused].into_iter().for_each(occurs);
}

#[test]
fn group_members_on_a_busy_database_get_every_frame() {
    check(|| two_streams(Memory::busy(), StreamKind::Correct), 1500);
}

/// Checks that it receives each frame once.
struct CheckedSink(Mutex<u64>);

impl CheckedSink {
    fn get(&self, bytes: &[u8]) {
        for event in SseParser::new("").push(bytes) {
            let mut last = self.0.lock().unwrap();
            *last += 1;
            assert_eq!(event.last_event_id, last.to_string());
        }
    }
}

impl Sink for CheckedSink {
    fn encode(pieces: &[Bytes]) -> Bytes {
        pieces.concat().into()
    }

    fn try_send(&self, chunk: &Bytes) -> SendOutcome {
        self.get(chunk);
        // So that its reader is evicted and has to read.
        SendOutcome::Partial
    }
}

/// A reader that has all frames joins while one is committed. No later frame would reveal that it missed that one.
pub(super) fn join_during_commit(ignores_its_cursor: bool) {
    block_on(async {
        let world = claimed_run().await;
        let mut reader = world.subscribe(1, FrameEncoding::Single).await;
        let (group, broadcaster) = BroadcastGroup::new(reader.at_head(), SMALL_GROUPS);
        spawn_local(broadcaster);
        let sink = Arc::new(CheckedSink(Mutex::new(1)));
        let reading = spawn_local(async move {
            let member = Member::new(Arc::clone(&sink), 1);
            if ignores_its_cursor && reader.is_at_head() {
                lock(&group.0).sent_up_to = 0;
                group.join(&member);
            }
            let mut next = pin!(group.next(&mut reader, &member));
            poll_fn(|cx| {
                if let Poll::Ready(step) = next.as_mut().poll(cx) {
                    let Ok(ReadStep::Frames(pieces)) = step else { panic!("no frames: {step:?}") };
                    sink.get(&pieces.concat());
                }
                if *sink.0.lock().unwrap() == 2 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        });
        commit_and_publish(&world, AppendFrames::new(lease(&world))).await;
        reading.await.unwrap();
    });
}

#[test]
fn joining_reader_misses_no_frame() {
    check(|| join_during_commit(false), 10_000);
}

/// The broadcaster ends when its run is deleted, before or after the end of the run, and its members are evicted.
#[test]
fn broadcaster_ends_when_its_run_is_deleted() {
    check(
        || {
            block_on(async {
                let world = claimed_run().await;
                let mut reader = world.subscribe(1, FrameEncoding::Single).await;
                let (group, broadcaster) = BroadcastGroup::new(reader.at_head(), SMALL_GROUPS);
                let telling = spawn(broadcaster);
                let member = Member::new(Arc::new(CheckedSink(Mutex::new(1))), 1);
                let reading = spawn(async move {
                    loop {
                        match group.next(&mut reader, &member).await {
                            Ok(ReadStep::Frames(_)) => {}
                            Ok(ReadStep::End(_)) => break,
                            Err(error) => break assert!(matches!(error, StoreError::Gone), "{error}"),
                        }
                    }
                });
                finish_run(&world).await;
                delete(&world).await;
                world.journal.live_runs.mark_deleted(world.run);
                telling.await.unwrap();
                reading.await.unwrap();
            });
        },
        500,
    );
}
