//! The live end of each run's journal that someone reads: recent frames, and the head.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, Weak};

use super::ring::{EncodedFrames, FrameEncoding, Ring};
use super::sync::{Mutex, MutexGuard, watch};
use crate::store::{Committed, Pulse, RunKey};

/// How many bytes of recent frames a run keeps for its readers. Two frames or three under test, so that much is forgotten.
const MEMORY: usize = if cfg!(test) { 300 } else { 1 << 20 };

/// The live end of one run's journal. Lives as long as someone reads it.
#[derive(Debug)]
pub struct LiveRun {
    /// Held for a copy of a few handles (once a commit also for writing its frames in the other form), never across an await.
    ring: Mutex<Ring>,
    /// The head: how far the journal goes, never what it says. A `watch` keeps only the newest, so ringing it costs
    /// the same for a reader that sleeps and for one that lags.
    head: watch::Sender<HeadNotification>,
}

/// What the head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadNotification {
    /// How far the journal goes.
    pub head: Pulse,
    /// Whether the run was deleted: then there is nothing more to read.
    pub is_deleted: bool,
}

impl LiveRun {
    fn new(pulse: Pulse) -> Self {
        Self {
            ring: Mutex::new(Ring::new(MEMORY)),
            head: watch::Sender::new(HeadNotification { head: pulse, is_deleted: false }),
        }
    }

    /// Hears of a commit. Frames first, then the head: who hears it finds them.
    fn publish(&self, committed: &Committed) {
        lock(&self.ring).push(&committed.frames);
        self.publish_head(committed.pulse);
    }

    /// Rings the head if `pulse` is newer than what is known.
    pub fn publish_head(&self, pulse: Pulse) {
        self.head.send_if_modified(|known| {
            let newer = pulse.head > known.head.head;
            if newer {
                known.head = pulse;
            }
            newer
        });
    }

    /// The run was deleted. What is remembered of it goes first: who hears the bell finds nothing.
    fn mark_deleted(&self) {
        *lock(&self.ring) = Ring::new(MEMORY);
        self.head.send_if_modified(|known| !std::mem::replace(&mut known.is_deleted, true));
    }

    /// A head of one's own, which says at once how far the journal goes.
    pub fn notifications(&self) -> watch::Receiver<HeadNotification> {
        self.head.subscribe()
    }

    /// All recent frames after `cursor`, if the memory covers it.
    pub fn after(&self, cursor: u64, form: &FrameEncoding) -> Option<EncodedFrames> {
        lock(&self.ring).after(cursor, form)
    }
}

/// The live_runs of all runs that someone reads.
#[derive(Debug, Default)]
pub struct LiveRuns {
    /// Held for a look-up, never across an await.
    live: Mutex<HashMap<RunKey, Weak<LiveRun>>>,
}

impl LiveRuns {
    /// The run's live_run. `pulse` is where its journal stood at some moment before.
    ///
    /// A commit between that moment and this call may have been published to nobody. So who attaches asks the store
    /// again afterwards and says so to [`LiveRun::advance`]; from then on every commit is heard of.
    pub fn subscribe(&self, run: RunKey, pulse: Pulse) -> Arc<LiveRun> {
        let mut live = lock(&self.live);
        if let Some(live_run) = live.get(&run).and_then(Weak::upgrade) {
            return live_run;
        }
        // LiveRuns nobody reads any more are forgotten here, at a cost that is spread over the attaches.
        if live.len() >= 64 && live.len() == live.capacity() {
            live.retain(|_, live_run| live_run.strong_count() > 0);
        }
        let live_run = Arc::new(LiveRun::new(pulse));
        live.insert(run, Arc::downgrade(&live_run));
        live_run
    }

    /// How many live_runs are known, those that nobody reads any more and that are not forgotten yet among them.
    pub fn count(&self) -> usize {
        lock(&self.live).len()
    }

    /// Tells a run's readers of a commit. Called by the writer alone, in the order of commits.
    pub fn publish(&self, committed: &Committed) {
        let live_run = lock(&self.live).get(&committed.run).and_then(Weak::upgrade);
        if let Some(live_run) = live_run {
            live_run.publish(committed);
        }
    }

    /// Tells a run's readers that it was deleted. Called by the writer alone, after the commit.
    pub fn mark_deleted(&self, run: RunKey) {
        let live_run = lock(&self.live).remove(&run).and_then(|live_run| live_run.upgrade());
        if let Some(live_run) = live_run {
            live_run.mark_deleted();
        }
    }
}

/// The lock, even after a panic elsewhere: what these locks guard is valid between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
