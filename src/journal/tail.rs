//! The live end of each run's journal that someone reads: recent frames, and the doorbell.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, Weak};

use super::ring::{Encoded, Form, Ring};
use super::sync::{Mutex, MutexGuard, watch};
use crate::store::{Committed, JournalHead, RunKey};

/// How many bytes of recent frames a run keeps for its readers. Two frames or three under test, so that much is forgotten.
const MEMORY: usize = if cfg!(test) { 300 } else { 1 << 20 };

/// The live end of one run's journal. Lives as long as someone reads it.
#[derive(Debug)]
pub struct Tail {
    /// Held for a copy of a few handles (once a commit also for writing its frames in the other form), never across an await.
    ring: Mutex<Ring>,
    /// The doorbell: how far the journal goes, never what it says. A `watch` keeps only the newest, so ringing it costs
    /// the same for a reader that sleeps and for one that lags.
    doorbell: watch::Sender<Bell>,
}

/// What the doorbell says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bell {
    /// How far the journal goes.
    pub pulse: JournalHead,
    /// Whether the run was deleted: then there is nothing more to read.
    pub gone: bool,
}

impl Tail {
    fn new(pulse: JournalHead) -> Self {
        Self { ring: Mutex::new(Ring::new(MEMORY)), doorbell: watch::Sender::new(Bell { pulse, gone: false }) }
    }

    /// Hears of a commit. Frames first, then the doorbell: who hears it finds them.
    fn publish(&self, committed: &Committed) {
        lock(&self.ring).push(&committed.frames);
        self.advance(committed.journal);
    }

    /// Rings the doorbell if `pulse` is newer than what is known.
    pub fn advance(&self, pulse: JournalHead) {
        self.doorbell.send_if_modified(|known| {
            let newer = pulse.head > known.pulse.head;
            if newer {
                known.pulse = pulse;
            }
            newer
        });
    }

    /// The run was deleted. What is remembered of it goes first: who hears the bell finds nothing.
    fn close(&self) {
        *lock(&self.ring) = Ring::new(MEMORY);
        self.doorbell.send_if_modified(|known| !std::mem::replace(&mut known.gone, true));
    }

    /// A doorbell of one's own, which says at once how far the journal goes.
    pub fn listen(&self) -> watch::Receiver<Bell> {
        self.doorbell.subscribe()
    }

    /// All recent frames after `cursor`, if the memory covers it.
    pub fn after(&self, cursor: u64, form: &Form) -> Option<Encoded> {
        lock(&self.ring).after(cursor, form)
    }
}

/// The tails of all runs that someone reads.
#[derive(Debug, Default)]
pub struct Tails {
    /// Held for a look-up, never across an await.
    live: Mutex<HashMap<RunKey, Weak<Tail>>>,
}

impl Tails {
    /// The run's tail. `pulse` is where its journal stood at some moment before.
    ///
    /// A commit between that moment and this call may have been published to nobody. So who attaches asks the store
    /// again afterwards and says so to [`Tail::advance`]; from then on every commit is heard of.
    pub fn attach(&self, run: RunKey, pulse: JournalHead) -> Arc<Tail> {
        let mut live = lock(&self.live);
        if let Some(tail) = live.get(&run).and_then(Weak::upgrade) {
            return tail;
        }
        // Tails nobody reads any more are forgotten here, at a cost that is spread over the attaches.
        if live.len() >= 64 && live.len() == live.capacity() {
            live.retain(|_, tail| tail.strong_count() > 0);
        }
        let tail = Arc::new(Tail::new(pulse));
        live.insert(run, Arc::downgrade(&tail));
        tail
    }

    /// How many tails are known, those that nobody reads any more and that are not forgotten yet among them.
    pub fn count(&self) -> usize {
        lock(&self.live).len()
    }

    /// Tells a run's readers of a commit. Called by the writer alone, in the order of commits.
    pub fn publish(&self, committed: &Committed) {
        let tail = lock(&self.live).get(&committed.run).and_then(Weak::upgrade);
        if let Some(tail) = tail {
            tail.publish(committed);
        }
    }

    /// Tells a run's readers that it was deleted. Called by the writer alone, after the commit.
    pub fn close(&self, run: RunKey) {
        let tail = lock(&self.live).remove(&run).and_then(|tail| tail.upgrade());
        if let Some(tail) = tail {
            tail.close();
        }
    }
}

/// The lock, even after a panic elsewhere: what these locks guard is valid between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
