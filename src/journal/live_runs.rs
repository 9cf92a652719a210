//! The runs that have readers on this server: for each, its recent frames and its head.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, Weak};

use super::ring::{EncodedFrames, FrameEncoding, Ring};
use super::sync::{Mutex, MutexGuard, watch};
use crate::model::{FrameRecord, Status};
use crate::store::{Committed, JournalHead, RunKey};

/// The sizes that readers work with. The defaults are those of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// About how many bytes of recent frames each run with readers keeps in memory.
    pub ring_bytes: usize,
    /// How many frames a reader takes from the store at once. Small pages keep reads short and their memory small.
    pub page_frames: u32,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { ring_bytes: 1 << 20, page_frames: 512 }
    }
}

/// The live end of one run's journal. It lives as long as the run has a reader.
#[derive(Debug)]
pub struct LiveRun {
    /// Locked to copy a few handles, and once per commit to re-encode its frames; never across an await.
    ring: Mutex<Ring>,
    /// A `watch` keeps only the newest value, so a notification costs the same for an idle reader and for one that
    /// lags.
    head: watch::Sender<HeadNotification>,
    options: ReadOptions,
}

/// What readers are notified of. It carries no frames, so the journal stays the only source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadNotification {
    /// The head of the journal.
    pub head: JournalHead,
    /// Whether the run was deleted, so that nothing can be read any more.
    pub is_deleted: bool,
}

impl LiveRun {
    fn new(head: JournalHead, options: ReadOptions) -> Self {
        Self {
            ring: Mutex::new(Ring::new(options.ring_bytes)),
            head: watch::Sender::new(HeadNotification { head, is_deleted: false }),
            options,
        }
    }

    /// Publishes a commit: the frames first, so that a notified reader finds them.
    fn publish(&self, committed: &Committed) {
        lock(&self.ring).push(&committed.frames);
        self.publish_head(committed.journal);
    }

    /// Notifies the readers if `head` is newer than the known one.
    pub fn publish_head(&self, head: JournalHead) {
        self.head.send_if_modified(|known| {
            let is_newer = head.head > known.head.head;
            if is_newer {
                known.head = head;
            }
            is_newer
        });
    }

    /// Notifies the readers that the run was deleted. The frames go first, so that a notified reader finds none.
    fn mark_deleted(&self) {
        *lock(&self.ring) = Ring::new(self.options.ring_bytes);
        self.head.send_if_modified(|known| !std::mem::replace(&mut known.is_deleted, true));
    }

    /// Publishes frames that another instance has committed, as far as they are new, and the head as of then.
    pub fn publish_page(&self, frames: &[FrameRecord], newest: JournalHead) {
        let Some(last) = frames.last().map(|frame| frame.seq) else { return };
        lock(&self.ring).push_new(frames);
        // The status is that of the newest frame: readers must not see an end before the frames up to it.
        let head =
            if last < newest.head { JournalHead { head: last, status: Status::Running, ..newest } } else { newest };
        self.publish_head(head);
    }

    /// The last head that was published.
    pub fn head(&self) -> JournalHead {
        self.head.borrow().head
    }

    /// The head and its changes.
    pub fn notifications(&self) -> watch::Receiver<HeadNotification> {
        self.head.subscribe()
    }

    /// All frames after `cursor`, if the ring still has the next one.
    pub fn after(&self, cursor: u64, encoding: &FrameEncoding) -> Option<EncodedFrames> {
        lock(&self.ring).after(cursor, encoding)
    }

    /// How many frames a reader takes from the store at once.
    pub fn page_frames(&self) -> u32 {
        self.options.page_frames
    }
}

/// All runs that have readers on this server.
#[derive(Debug, Default)]
pub struct LiveRuns {
    options: ReadOptions,
    /// Never locked across an await.
    live: Mutex<HashMap<RunKey, Weak<LiveRun>>>,
}

impl LiveRuns {
    pub fn new(options: ReadOptions) -> Self {
        Self { options, live: Mutex::default() }
    }

    /// Subscribes to a run. `head` is its head at some earlier moment.
    ///
    /// A commit between that moment and this call may have been published before anybody subscribed. So the caller must
    /// read the head from the store afterwards and pass it to [`LiveRun::publish_head`]; every later commit is then
    /// notified.
    pub fn subscribe(&self, run: RunKey, head: JournalHead) -> Arc<LiveRun> {
        let mut live = lock(&self.live);
        if let Some(live_run) = live.get(&run).and_then(Weak::upgrade) {
            return live_run;
        }
        // Entries without readers are removed here, amortized over the subscriptions.
        if live.len() >= 64 && live.len() == live.capacity() {
            live.retain(|_, live_run| live_run.strong_count() > 0);
        }
        let live_run = Arc::new(LiveRun::new(head, self.options));
        live.insert(run, Arc::downgrade(&live_run));
        live_run
    }

    /// The run, if it has readers.
    pub fn get(&self, run: RunKey) -> Option<Arc<LiveRun>> {
        lock(&self.live).get(&run).and_then(Weak::upgrade)
    }

    /// The runs that have readers.
    pub fn keys(&self) -> Vec<RunKey> {
        let live = lock(&self.live);
        live.iter().filter(|(_, live_run)| live_run.strong_count() > 0).map(|(run, _)| *run).collect()
    }

    /// How many entries there are, including those without readers that are not removed yet.
    pub fn count(&self) -> usize {
        lock(&self.live).len()
    }

    /// Publishes a commit of this instance to the readers of its run. Only the writer calls this, in the order of
    /// commits.
    pub fn publish(&self, committed: &Committed) {
        if let Some(live_run) = self.get(committed.run) {
            live_run.publish(committed);
        }
    }

    /// Notifies the readers of a run that it was deleted, after the commit.
    pub fn mark_deleted(&self, run: RunKey) {
        let live_run = lock(&self.live).remove(&run).and_then(|live_run| live_run.upgrade());
        if let Some(live_run) = live_run {
            live_run.mark_deleted();
        }
    }
}

/// A poisoned lock is safe to use: the guarded values are valid between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
