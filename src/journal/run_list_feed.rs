//! Tells readers of the run list which runs have changed.
//!
//! As with the journal, a reader is a cursor, and notifications carry no data. A run is read from the store when it is
//! returned: if it changes ten times while a reader is slow, the reader gets it once, in its latest state. Readers that
//! need the same run at the same version share one read of it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use super::backend::JournalBackend;
use super::sync::{Mutex, MutexGuard, watch};
use crate::model::{RunId, RunListUpdate};
use crate::store::{RunKey, StoreError};

/// How many changed runs are remembered. A reader that lags by more has to read the list again.
const MAX_REMEMBERED_RUNS: usize = 1024;

/// How many runs one step returns at most.
const RUNS_PER_STEP: usize = 64;

/// How many reads are kept for readers that have not used them yet.
const MAX_SHARED_READS: usize = 2 * RUNS_PER_STEP;

/// A read of one run, shared by all readers of the list. Each of them can drive it, so one that stalls blocks no other.
type SharedRead = Shared<BoxFuture<'static, Result<Option<Arc<RunListUpdate>>, StoreError>>>;

/// The changes of the run list.
#[derive(Debug, Default)]
pub struct RunListFeed {
    /// Never locked across an await.
    recent: Mutex<RecentChanges>,
    /// The latest reads, oldest first. Never locked across an await.
    reads: Mutex<SharedReads>,
    version: watch::Sender<u64>,
    /// Version that increases when a run becomes eligible for retention.
    eligible: watch::Sender<u64>,
}

/// What changed about a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunListEvent {
    /// Something that the list shows.
    Changed(RunKey),
    /// The same, and the run may have become eligible for retention.
    BecameFinal(RunKey),
    /// It was deleted. Its id comes along, since the store no longer has it.
    Deleted(RunKey, RunId),
}

/// The runs that changed last, each at its last change. Pure.
#[derive(Debug, Default)]
struct RecentChanges {
    /// The number of changes so far.
    version: u64,
    /// Changes up to this version may be missing.
    forgotten: u64,
    by_version: BTreeMap<u64, RunKey>,
    of_run: HashMap<RunKey, u64>,
    /// Those that were deleted.
    deleted: HashMap<RunKey, RunId>,
}

/// The latest shared reads, each with the version of its run when it was created.
#[derive(Default)]
struct SharedReads(VecDeque<(RunKey, u64, SharedRead)>);

impl std::fmt::Debug for SharedReads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedReads({})", self.0.len())
    }
}

impl SharedReads {
    /// The read of this run at this version or a later one. `make` creates it if there is none. It begins when it is
    /// first polled, so it sees every change published before this call.
    fn share(&mut self, run: RunKey, version: u64, make: impl FnOnce() -> SharedRead) -> SharedRead {
        if let Some((_, _, read)) = self.0.iter().find(|(known, at, _)| *known == run && *at >= version) {
            return read.clone();
        }
        let read = make();
        self.0.retain(|(known, ..)| *known != run);
        self.0.push_back((run, version, read.clone()));
        while self.0.len() > MAX_SHARED_READS {
            self.0.pop_front();
        }
        read
    }

    /// Drops a failed read, so that the next reader repeats it.
    fn forget(&mut self, failed: &SharedRead) {
        self.0.retain(|(.., read)| !read.ptr_eq(failed));
    }
}

impl RecentChanges {
    fn note(&mut self, run: RunKey) {
        self.version += 1;
        if let Some(earlier) = self.of_run.insert(run, self.version) {
            self.by_version.remove(&earlier);
        }
        self.by_version.insert(self.version, run);
        while self.by_version.len() > MAX_REMEMBERED_RUNS {
            let Some((version, run)) = self.by_version.pop_first() else { break };
            self.of_run.remove(&run);
            self.deleted.remove(&run);
            self.forgotten = version;
        }
    }

    /// Makes every reader lag.
    fn forget(&mut self) {
        self.version += 1;
        self.forgotten = self.version;
        self.by_version.clear();
        self.of_run.clear();
        self.deleted.clear();
    }

    /// The first runs that changed after `cursor`, each with its version, and the cursor after them. `None` if changes
    /// are missing.
    fn after(&self, cursor: u64) -> Option<(Vec<(RunKey, u64)>, u64)> {
        if cursor < self.forgotten {
            return None;
        }
        let page: Vec<(RunKey, u64)> =
            self.by_version.range(cursor + 1..).take(RUNS_PER_STEP).map(|(&version, &run)| (run, version)).collect();
        let last = page.last().map_or(cursor, |(_, version)| *version);
        Some((page, last))
    }
}

impl RunListFeed {
    /// Publishes changes that the store has committed.
    pub fn publish(&self, event: impl Iterator<Item = RunListEvent>) {
        let mut eligible = 0;
        let version = {
            let mut recent = self.lock();
            for event in event {
                let (run, ended) = match event {
                    RunListEvent::Changed(run) => (run, false),
                    RunListEvent::BecameFinal(run) => (run, true),
                    RunListEvent::Deleted(run, id) => {
                        recent.deleted.insert(run, id);
                        (run, true)
                    }
                };
                eligible += u64::from(ended);
                recent.note(run);
            }
            recent.version
        };
        self.version.send_if_modified(|known| version > std::mem::replace(known, version));
        if eligible > 0 {
            self.eligible.send_if_modified(|known| {
                *known += eligible;
                true
            });
        }
    }

    /// Any run may have changed: all readers have to read the list again, and retention looks for runs.
    pub fn forget(&self) {
        let version = {
            let mut recent = self.lock();
            recent.forget();
            recent.version
        };
        self.version.send_if_modified(|known| version > std::mem::replace(known, version));
        self.eligible.send_if_modified(|known| {
            *known += 1;
            true
        });
    }

    /// How many changed runs are remembered, and how many reads are kept.
    pub fn count(&self) -> (usize, usize) {
        let (runs, reads) = (self.lock().of_run.len(), self.lock_reads().0.len());
        (runs, reads)
    }

    /// Notifies when runs may have become eligible for retention.
    pub fn watch_ends(&self) -> watch::Receiver<u64> {
        self.eligible.subscribe()
    }

    /// The run at this version or later. `None` if the run was deleted so long ago that its id is forgotten.
    ///
    /// # Errors
    /// The store could not be read. The next call reads again.
    async fn read(
        self: &Arc<Self>,
        store: &Arc<dyn JournalBackend>,
        run: RunKey,
        version: u64,
    ) -> Result<Option<Arc<RunListUpdate>>, StoreError> {
        let read = self.lock_reads().share(run, version, || {
            let (store, changes) = (Arc::clone(store), Arc::downgrade(self));
            let read = async move {
                Ok(match store.run(run).await? {
                    Some(run) => Some(Arc::new(RunListUpdate::Changed(Box::new(run)))),
                    None => changes
                        .upgrade()
                        .and_then(|changes| changes.deleted(run))
                        .map(RunListUpdate::deleted)
                        .map(Arc::new),
                })
            };
            read.boxed().shared()
        });
        let found = read.clone().await;
        if found.is_err() {
            self.lock_reads().forget(&read);
        }
        found
    }

    fn lock_reads(&self) -> MutexGuard<'_, SharedReads> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of a run that was deleted recently.
    fn deleted(&self, run: RunKey) -> Option<RunId> {
        self.lock().deleted.get(&run).cloned()
    }

    /// A poisoned lock is safe to use: the guarded values are valid between any two calls.
    fn lock(&self) -> MutexGuard<'_, RecentChanges> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cursor on the changes of the run list.
pub struct ListReader {
    store: Arc<dyn JournalBackend>,
    feed: Arc<RunListFeed>,
    version: watch::Receiver<u64>,
    cursor: u64,
}

/// What a reader of the list returns.
#[derive(Debug, PartialEq)]
pub enum ListStep {
    /// Runs that have changed or were deleted.
    Runs(Vec<Arc<RunListUpdate>>),
    /// More runs have changed than are remembered: the reader has to read the list again.
    Lagged,
}

impl ListReader {
    /// A reader of all changes from now on. If the list is read after this call, no change is missed.
    pub(super) fn new(store: Arc<dyn JournalBackend>, feed: Arc<RunListFeed>) -> Self {
        let version = feed.version.subscribe();
        let cursor = *version.borrow();
        Self { store, feed, version, cursor }
    }

    /// Returns the runs that changed after the cursor, or waits for a change.
    ///
    /// Cancel safe: the cursor moves only when runs are returned.
    ///
    /// # Errors
    /// The store could not be read: the cursor has not moved, and the call may be repeated.
    pub async fn next(&mut self) -> Result<ListStep, StoreError> {
        loop {
            // Marked as seen before the read, as in `Reader::next`.
            let version = *self.version.borrow_and_update();
            if self.cursor < version {
                let found = self.feed.lock().after(self.cursor);
                let Some((keys, last)) = found else { return Ok(ListStep::Lagged) };
                let mut runs = Vec::with_capacity(keys.len());
                for (run, version) in keys {
                    runs.extend(self.feed.read(&self.store, run, version).await?);
                }
                self.cursor = last;
                return Ok(ListStep::Runs(runs));
            }
            if self.version.changed().await.is_err() {
                // The feed owns the sender and this reader the feed, so the channel cannot close.
                return Ok(ListStep::Lagged);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn run_list_reader_that_lags_too_far_is_lagged() {
        let mut recent = RecentChanges::default();
        (0..MAX_REMEMBERED_RUNS as i64 + 1).for_each(|run| recent.note(RunKey(run)));
        assert_eq!(recent.after(0), None);
        assert_eq!(recent.after(1).map(|(runs, _)| runs.len()), Some(RUNS_PER_STEP));
    }

    proptest! {
        /// Whenever it reads, a reader ends with each run as of its last change.
        #[test]
        fn run_list_reader_gets_each_run_after_its_last_change(changes in prop::collection::vec((0i64..40, any::<bool>()), 0..400)) {
            let mut recent = RecentChanges::default();
            let mut returned: HashMap<RunKey, usize> = HashMap::new();
            let mut cursor = 0;
            let mut read = |recent: &RecentChanges, now: usize| {
                let (runs, last) = recent.after(cursor).unwrap();
                cursor = last;
                runs.into_iter().for_each(|(run, _)| { returned.insert(run, now); });
                last
            };
            for (now, &(run, reads)) in changes.iter().enumerate() {
                recent.note(RunKey(run));
                if reads {
                    read(&recent, now);
                }
            }
            while read(&recent, changes.len()) < recent.version {}
            for (now, &(run, _)) in changes.iter().enumerate() {
                prop_assert!(returned[&RunKey(run)] >= now, "run {run}");
            }
            prop_assert_eq!(recent.by_version.len(), recent.of_run.len());
        }
    }
}
