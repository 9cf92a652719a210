//! Readers that have all of a run and are sent_up_to together what comes next.
//!
//! Most readers of a live run wait for the same frame. Were each woken for it, waking them would cost more than what they then
//! do. So those at the head sit down in the run's group, and one task writes to all of their outlets. It is no second source:
//! it is one [`Reader`], and whoever sits there and does not stand where it stands is sent back to read alone, as are those
//! who cannot keep up.

use std::future::poll_fn;
use std::mem::take;
use std::sync::{Arc, PoisonError};
use std::task::{Poll, Waker};

use bytes::Bytes;

use super::reader::{ReadStep, Reader};
use super::sync::{Mutex, MutexGuard};
use crate::store::StoreError;

/// How many outlets are sent_up_to without a turn for other tasks between them.
const YIELD_EVERY: usize = if cfg!(test) { 1 } else { 256 };

/// With fewer members nobody looks for those who have gone.
const PRUNE_AT: usize = if cfg!(test) { 1 } else { 64 };

/// Where the frames for one reader go while it sits in a group.
pub trait Sink: Send + Sync + 'static {
    /// The pieces as all outlets of this kind take them: made once for the whole group.
    fn encode(pieces: &[Bytes]) -> Bytes;

    /// Takes what is chunk, without waiting.
    fn try_send(&self, chunk: &Bytes) -> SendOutcome;
}

/// What an sink did with what it was outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// It is written.
    Sent,
    /// It will be written before anything else, but more must not be outcome before that.
    Partial,
    /// Nothing of it is written or will be.
    Refused,
}

/// The readers of one run, in one form, that have all of it. Cheap to clone.
pub struct BroadcastGroup<S>(Arc<Mutex<Inner<S>>>);

struct Inner<S> {
    /// Everyone here has this frame, or is being sent_up_to it.
    sent_up_to: u64,
    members: Vec<Arc<Member<S>>>,
    /// With so many members, those who have gone are forgotten.
    prune_at: usize,
    /// Nobody tells anything here any more.
    is_closed: bool,
}

/// A reader's state, in a group or not, and its sink.
pub struct Member<S> {
    sink: Arc<S>,
    state: Mutex<MemberState>,
}

struct MemberState {
    /// The last frame that went to the sink, or was given for it.
    cursor: u64,
    /// Whether the group tells it what comes.
    is_member: bool,
    /// Wakes the reader when it has to get up.
    waker: Option<Waker>,
}

impl<S> Clone for BroadcastGroup<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Sink> BroadcastGroup<S> {
    /// The group that hears what this reader reads, and the task that tells it. The task ends with the run, also if it is deleted; who drops it earlier
    /// sends everyone back to read alone.
    pub fn new(reader: Reader) -> (Self, impl Future<Output = ()> + Send) {
        let inner = Inner { sent_up_to: reader.cursor(), members: Vec::new(), prune_at: PRUNE_AT, is_closed: false };
        let group = Self(Arc::new(Mutex::new(inner)));
        let broadcaster = Broadcaster { group: group.clone(), reader, receiving: Vec::new() };
        (group, broadcaster.run())
    }

    /// Whether nobody is sent_up_to anything here any more.
    pub fn is_closed(&self) -> bool {
        lock(&self.0).is_closed
    }

    /// For a wrong reader, which the checker must catch.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        lock(&self.0).sent_up_to = 0;
    }

    /// As [`Reader::next`], but what everyone here waits for goes to the member's sink without a word. The reader and the
    /// member belong together, and the sink refuses as long as a step that was given is not written.
    ///
    /// Cancel safe: who was sitting goes on to sit.
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

    /// False if the group is further than the member.
    pub(super) fn join(&self, member: &Arc<Member<S>>) -> bool {
        let mut inner = lock(&self.0);
        let mut state = lock(&member.state);
        // Further than the group is no harm: it gets up again if the group does not come to where it is with one step.
        if inner.is_closed || state.cursor < inner.sent_up_to {
            return false;
        }
        state.is_member = true;
        drop(state);
        // At a cost that is spread over the arrivals.
        if inner.members.len() >= inner.prune_at {
            inner.members.retain(|member| lock(&member.state).is_member);
            inner.prune_at = PRUNE_AT.max(inner.members.len() * 2);
        }
        inner.members.push(Arc::clone(member));
        true
    }
}

impl<S: Sink> Member<S> {
    /// A member, in no group yet, of a reader whose sink has everything up to `cursor`.
    pub fn new(sink: Arc<S>, cursor: u64) -> Arc<Self> {
        Arc::new(Self { sink, state: Mutex::new(MemberState { cursor, is_member: false, waker: None }) })
    }

    /// The last frame that went to the sink.
    pub fn cursor(&self) -> u64 {
        lock(&self.state).cursor
    }

    /// Leaves its group for good.
    pub fn leave(&self) {
        let mut state = lock(&self.state);
        state.is_member = false;
        // It holds what was woken.
        state.waker = None;
    }

    /// Waits until it sits nowhere.
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

    /// Tells it what comes after `from`, up to `last`. Whether it may stay.
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
            // It has a part of this, or more.
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
    /// The members while they are sent_up_to, so that nobody waits for that who wants to sit down.
    receiving: Vec<Arc<Member<S>>>,
}

impl<S: Sink> Broadcaster<S> {
    async fn run(mut self) {
        loop {
            let from = self.reader.cursor();
            match self.reader.next().await {
                Ok(ReadStep::Frames(pieces)) => self.broadcast(from, &pieces).await,
                // Each hears of it from its own reader.
                Ok(ReadStep::End(_)) | Err(StoreError::Gone) => return,
                Err(_) => self.restart(),
            }
            // A run may go on without pause, and there is always something to read then.
            yield_now().await;
        }
    }

    async fn broadcast(&mut self, from: u64, pieces: &[Bytes]) {
        let last = self.reader.cursor();
        self.receiving = self.advance_to(last);
        if self.receiving.is_empty() {
            return;
        }
        let chunk = S::encode(pieces);
        let (mut staying, mut next) = (0, 0);
        while let Some(member) = self.receiving.get(next) {
            if member.send(from, last, &chunk) {
                self.receiving.swap(staying, next);
                staying += 1;
            }
            next += 1;
            if next.is_multiple_of(YIELD_EVERY) {
                yield_now().await;
            }
        }
        self.receiving.truncate(staying);
        let mut inner = lock(&self.group.0);
        // Those who sat down meanwhile.
        self.receiving.append(&mut inner.members);
        inner.members = take(&mut self.receiving);
    }

    /// The store cannot be read: each tries that alone, and who has come to the head sits down here again.
    fn restart(&mut self) {
        self.reader = self.reader.at_head();
        let members = self.advance_to(self.reader.cursor());
        members.iter().for_each(|member| lock(&member.state).evict());
    }

    /// Says where the group is from now on, and takes those who sit in it.
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

/// The lock, even after a panic elsewhere: what these locks guard is valid between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
