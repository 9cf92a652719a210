//! Sends new frames to all readers at the head of a run in one pass.
//!
//! Most readers of a live run wait for the same frame, and waking each of them would cost more than sending it the
//! frame. So readers at the head join the run's broadcast group, and one task writes to all of their sinks. The task is
//! one more [`Reader`], and no second source of frames: a member whose cursor does not match the broadcast is evicted
//! and reads alone again, and so is one whose sink cannot keep up.

use std::future::poll_fn;
use std::mem::take;
use std::sync::{Arc, PoisonError};
use std::task::{Poll, Waker};

use bytes::Bytes;

use super::reader::{ReadStep, Reader};
use super::sync::{Mutex, MutexGuard};
use crate::store::StoreError;

/// The sizes of a broadcast group. The defaults are those of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BroadcastOptions {
    /// The broadcaster yields to other tasks after it has written to so many sinks.
    pub yield_every: usize,
    /// A group of fewer members is not searched for readers that have left.
    pub prune_at: usize,
}

impl Default for BroadcastOptions {
    fn default() -> Self {
        Self { yield_every: 256, prune_at: 64 }
    }
}

/// Where the frames for one reader go while it is a member of a group.
pub trait Sink: Send + Sync + 'static {
    /// Encodes frames for all sinks of this kind. Called once for the whole group.
    fn encode(frames: &[Bytes]) -> Bytes;

    /// Sends an encoded chunk without waiting.
    fn try_send(&self, chunk: &Bytes) -> SendOutcome;
}

/// What a sink did with a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// All of it is written.
    Sent,
    /// The sink keeps the rest and will write it before anything else. It takes no more until then.
    Partial,
    /// Nothing of it is written, and nothing will be.
    Refused,
}

/// The readers of one run, with one encoding, that have received all of it. Cheap to clone.
pub struct BroadcastGroup<S>(pub(super) Arc<Mutex<Inner<S>>>);

pub(super) struct Inner<S> {
    /// Highest seq sent (or being sent) to every member; a reader behind it must not join.
    pub(super) sent_up_to: u64,
    members: Vec<Arc<Member<S>>>,
    options: BroadcastOptions,
    /// At so many members, those that have left are removed.
    prune_at: usize,
    /// The broadcaster has ended.
    is_closed: bool,
}

/// A reader's membership and its sink.
pub struct Member<S> {
    sink: Arc<S>,
    state: Mutex<MemberState>,
}

struct MemberState {
    /// Highest seq that the sink has taken, or that the reader has returned for it.
    cursor: u64,
    is_member: bool,
    /// Wakes the reader when it is evicted.
    waker: Option<Waker>,
}

impl<S> Clone for BroadcastGroup<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Sink> BroadcastGroup<S> {
    /// A group that receives what `reader` reads, and its broadcaster task. The task ends when the run is finished or
    /// deleted. If it is dropped earlier, all members are evicted.
    pub fn new(reader: Reader, options: BroadcastOptions) -> (Self, impl Future<Output = ()> + Send) {
        let inner = Inner {
            sent_up_to: reader.cursor(),
            members: Vec::new(),
            options,
            prune_at: options.prune_at,
            is_closed: false,
        };
        let group = Self(Arc::new(Mutex::new(inner)));
        let yield_every = options.yield_every;
        let broadcaster = Broadcaster { group: group.clone(), reader, receiving: Vec::new(), yield_every };
        (group, broadcaster.run())
    }

    /// Whether the broadcaster has ended, so that nobody can join any more.
    pub fn is_closed(&self) -> bool {
        lock(&self.0).is_closed
    }

    /// As [`Reader::next`], except that the frames of a broadcast go to the member's sink and are not returned.
    /// `reader` and `member` belong together, and the sink must refuse while frames returned earlier are not yet
    /// written.
    ///
    /// Cancel safe: a member stays a member.
    ///
    /// # Errors
    /// As [`Reader::next`].
    pub async fn next(&self, reader: &mut Reader, member: &Arc<Member<S>>) -> Result<ReadStep, StoreError> {
        loop {
            reader.skip_to(member.evicted().await);
            if reader.is_at_head() && self.join(member) {
                continue;
            }
            let step = reader.next().await?;
            lock(&member.state).cursor = reader.cursor();
            return Ok(step);
        }
    }

    /// Adds a member, unless the group has been sent frames that it lacks. Returns whether it joined.
    pub(super) fn join(&self, member: &Arc<Member<S>>) -> bool {
        let mut inner = lock(&self.0);
        let mut state = lock(&member.state);
        // A member ahead of the group is safe: the next broadcast's `from` will not match its cursor, and it is
        // evicted.
        if inner.is_closed || state.cursor < inner.sent_up_to {
            return false;
        }
        state.is_member = true;
        drop(state);
        // Amortized over the joins.
        if inner.members.len() >= inner.prune_at {
            inner.members.retain(|member| lock(&member.state).is_member);
            inner.prune_at = inner.options.prune_at.max(inner.members.len() * 2);
        }
        inner.members.push(Arc::clone(member));
        true
    }
}

impl<S: Sink> Member<S> {
    /// A future member whose sink has everything up to `cursor`. It has not joined a group yet.
    pub fn new(sink: Arc<S>, cursor: u64) -> Arc<Self> {
        Arc::new(Self { sink, state: Mutex::new(MemberState { cursor, is_member: false, waker: None }) })
    }

    /// Highest seq that the sink has taken, or that the reader has returned for it.
    pub fn cursor(&self) -> u64 {
        lock(&self.state).cursor
    }

    /// Leaves the group for good.
    pub fn leave(&self) {
        let mut state = lock(&self.state);
        state.is_member = false;
        // A waker keeps its task alive.
        state.waker = None;
    }

    /// Waits until this is a member of no group. Returns its cursor.
    async fn evicted(&self) -> u64 {
        poll_fn(|cx| {
            let mut state = lock(&self.state);
            if !state.is_member {
                return Poll::Ready(state.cursor);
            }
            match &mut state.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            Poll::Pending
        })
        .await
    }

    /// Sends the frames after `from`, up to `last`. Returns whether this is still a member.
    fn send(&self, from: u64, last: u64, chunk: &Bytes) -> bool {
        let mut state = lock(&self.state);
        if !state.is_member {
            return false;
        }
        let stays = match state.cursor {
            cursor if cursor == last => true,
            cursor if cursor == from => {
                let outcome = self.sink.try_send(chunk);
                if outcome != SendOutcome::Refused {
                    state.cursor = last;
                }
                outcome == SendOutcome::Sent
            }
            // It has a part of these frames already, or later ones.
            _ => false,
        };
        if !stays {
            state.evict();
        }
        stays
    }
}

impl MemberState {
    fn evict(&mut self) {
        self.is_member = false;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// The task of a group.
struct Broadcaster<S: Sink> {
    group: BroadcastGroup<S>,
    reader: Reader,
    /// The members while they are being sent to. They are taken out of the group, so that joining never waits for a
    /// broadcast.
    receiving: Vec<Arc<Member<S>>>,
    yield_every: usize,
}

impl<S: Sink> Broadcaster<S> {
    async fn run(mut self) {
        loop {
            let from = self.reader.cursor();
            match self.reader.next().await {
                Ok(ReadStep::Frames(frames)) => self.broadcast(from, &frames).await,
                // Each member learns it from its own reader.
                Ok(ReadStep::End(_)) | Err(StoreError::Gone) => return,
                Err(_) => self.restart(),
            }
            // While a run writes without pause, `next` never waits.
            yield_now().await;
        }
    }

    async fn broadcast(&mut self, from: u64, frames: &[Bytes]) {
        let last = self.reader.cursor();
        self.receiving = self.advance_to(last);
        if self.receiving.is_empty() {
            return;
        }
        let chunk = S::encode(frames);
        let (mut staying, mut next) = (0, 0);
        while let Some(member) = self.receiving.get(next) {
            if member.send(from, last, &chunk) {
                self.receiving.swap(staying, next);
                staying += 1;
            }
            next += 1;
            if next.is_multiple_of(self.yield_every) {
                yield_now().await;
            }
        }
        self.receiving.truncate(staying);
        let mut inner = lock(&self.group.0);
        // Readers that joined during the broadcast.
        self.receiving.append(&mut inner.members);
        inner.members = take(&mut self.receiving);
    }

    /// Evicts all members after a failed read: each retries alone, and joins again at the head.
    fn restart(&mut self) {
        self.reader = self.reader.at_head();
        let members = self.advance_to(self.reader.cursor());
        members.iter().for_each(|member| lock(&member.state).evict());
    }

    /// Raises the seq that readers need to join, and takes the members out of the group.
    fn advance_to(&self, sent_up_to: u64) -> Vec<Arc<Member<S>>> {
        let mut inner = lock(&self.group.0);
        inner.sent_up_to = sent_up_to;
        take(&mut inner.members)
    }
}

impl<S: Sink> Drop for Broadcaster<S> {
    fn drop(&mut self) {
        let mut inner = lock(&self.group.0);
        inner.is_closed = true;
        self.receiving.append(&mut inner.members);
        drop(inner);
        self.receiving.iter().for_each(|member| lock(&member.state).evict());
    }
}

async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A poisoned lock is safe to use: the guarded values are valid between any two statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
