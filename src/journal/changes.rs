//! Which runs changed lately, for readers of the list.
//!
//! The same idea as the journal's: a reader is a cursor, and the doorbell carries no data. What a run looks like is read from
//! the store when it is told, so a run that changes ten times while a reader is slow is told once, as it is then. Readers that
//! want the same run at the same version share one read of it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

use super::backend::JournalBackend;
use super::sync::{Mutex, MutexGuard, watch};
use crate::model::{RunId, RunListUpdate};
use crate::store::{RunKey, StoreError};

/// How many runs are remembered as changed. A reader that lags by more different ones is told so.
const MEMORY: usize = 1024;

/// How many runs are told at a time.
const PAGE: usize = 64;

/// How many reads are kept for the readers that have not taken them yet.
const READS: usize = 2 * PAGE;

/// A read of one run, shared by all readers of the list. Any of them may drive it, so one that stops keeps nobody waiting.
type SharedRead = Shared<BoxFuture<'static, Result<Option<Arc<RunListUpdate>>, StoreError>>>;

/// The list's live end.
#[derive(Debug, Default)]
pub struct Changes {
    /// Held for a look-up, never across an await.
    recent: Mutex<Recent>,
    /// The latest reads, oldest first. Held for a look-up, never across an await.
    reads: Mutex<Reads>,
    doorbell: watch::Sender<u64>,
    /// Counts what may let go of runs.
    ends: watch::Sender<u64>,
}

/// What changed of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Something that the list shows.
    Changed(RunKey),
    /// The same, and it may be that runs go now.
    Ended(RunKey),
    /// It was deleted: then only this knows its id.
    Deleted(RunKey, RunId),
}

/// The runs that changed last, each at its last change. Pure.
#[derive(Debug, Default)]
struct Recent {
    /// Counts changes.
    version: u64,
    /// Changes up to this one may be forgotten.
    forgotten: u64,
    by_version: BTreeMap<u64, RunKey>,
    of_run: HashMap<RunKey, u64>,
    /// Those of them that were deleted.
    deleted: HashMap<RunKey, RunId>,
}

/// The latest shared reads, each with the version of its run when it was made.
#[derive(Default)]
struct Reads(VecDeque<(RunKey, u64, SharedRead)>);

impl std::fmt::Debug for Reads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reads({})", self.0.len())
    }
}

impl Reads {
    /// The read of this run at this version or a later one; `make` makes it if there is none. It begins when it is polled, so
    /// it sees every change that was published before this call.
    fn share(&mut self, run: RunKey, version: u64, make: impl FnOnce() -> SharedRead) -> SharedRead {
        if let Some((_, _, read)) = self.0.iter().find(|(known, at, _)| *known == run && *at >= version) {
            return read.clone();
        }
        let read = make();
        self.0.retain(|(known, ..)| *known != run);
        self.0.push_back((run, version, read.clone()));
        while self.0.len() > READS {
            self.0.pop_front();
        }
        read
    }

    /// Drops a read that failed, so that the next reader tries again.
    fn forget(&mut self, failed: &SharedRead) {
        self.0.retain(|(.., read)| !read.ptr_eq(failed));
    }
}

impl Recent {
    fn note(&mut self, run: RunKey) {
        self.version += 1;
        if let Some(earlier) = self.of_run.insert(run, self.version) {
            self.by_version.remove(&earlier);
        }
        self.by_version.insert(self.version, run);
        while self.by_version.len() > MEMORY {
            let Some((version, run)) = self.by_version.pop_first() else { break };
            self.of_run.remove(&run);
            self.deleted.remove(&run);
            self.forgotten = version;
        }
    }

    /// The first runs of those that changed after `cursor`, each with its version, and the cursor after them. `None` if some
    /// are forgotten.
    fn after(&self, cursor: u64) -> Option<(Vec<(RunKey, u64)>, u64)> {
        if cursor < self.forgotten {
            return None;
        }
        let page: Vec<(RunKey, u64)> =
            self.by_version.range(cursor + 1..).take(PAGE).map(|(&version, &run)| (run, version)).collect();
        let last = page.last().map_or(cursor, |(_, version)| *version);
        Some((page, last))
    }
}

impl Changes {
    /// Hears of runs that are as they now are in the store. Called by the writer alone, after the commit.
    pub fn publish(&self, news: impl Iterator<Item = News>) {
        let mut ends = 0;
        let version = {
            let mut recent = self.lock();
            for news in news {
                let (run, ended) = match news {
                    News::Changed(run) => (run, false),
                    News::Ended(run) => (run, true),
                    News::Deleted(run, id) => {
                        recent.deleted.insert(run, id);
                        (run, true)
                    }
                };
                ends += u64::from(ended);
                recent.note(run);
            }
            recent.version
        };
        self.doorbell.send_if_modified(|known| version > std::mem::replace(known, version));
        if ends > 0 {
            self.ends.send_if_modified(|known| {
                *known += ends;
                true
            });
        }
    }

    /// How many runs are remembered as changed, and how many reads are kept.
    pub fn count(&self) -> (usize, usize) {
        let (runs, reads) = (self.lock().of_run.len(), self.lock_reads().0.len());
        (runs, reads)
    }

    /// Rings when runs may go.
    pub fn watch_ends(&self) -> watch::Receiver<u64> {
        self.ends.subscribe()
    }

    /// The run as it is at this version or later; `None` if it is gone and nothing is known of it.
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

    fn lock_reads(&self) -> MutexGuard<'_, Reads> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of a run that was deleted lately.
    fn deleted(&self, run: RunKey) -> Option<RunId> {
        self.lock().deleted.get(&run).cloned()
    }

    /// The lock, even after a panic elsewhere: what it guards is valid between any two calls.
    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cursor on the changes of the list. Tells each run that changes, as it is when it is told.
pub struct ListReader {
    store: Arc<dyn JournalBackend>,
    changes: Arc<Changes>,
    doorbell: watch::Receiver<u64>,
    cursor: u64,
}

/// What a reader of the list gets next.
#[derive(Debug, PartialEq)]
pub enum ListStep {
    /// Runs that have changed, or are gone.
    Runs(Vec<Arc<RunListUpdate>>),
    /// So many runs changed that the reader missed some: it has to read the list again.
    Lagged,
}

impl ListReader {
    /// A reader of all changes from now on. Who reads the list after this misses none.
    pub(super) fn new(store: Arc<dyn JournalBackend>, changes: Arc<Changes>) -> Self {
        let doorbell = changes.doorbell.subscribe();
        let cursor = *doorbell.borrow();
        Self { store, changes, doorbell, cursor }
    }

    /// The runs that changed since, or else waits for one.
    ///
    /// Cancel safe: the cursor moves only when runs are given.
    ///
    /// # Errors
    /// The store could not be read. The cursor stands; the call may be repeated.
    pub async fn next(&mut self) -> Result<ListStep, StoreError> {
        loop {
            // Looked at before the read, as in `Reader::next`.
            let version = *self.doorbell.borrow_and_update();
            if self.cursor < version {
                let found = self.changes.lock().after(self.cursor);
                let Some((keys, last)) = found else { return Ok(ListStep::Lagged) };
                let mut runs = Vec::with_capacity(keys.len());
                for (run, version) in keys {
                    runs.extend(self.changes.read(&self.store, run, version).await?);
                }
                self.cursor = last;
                return Ok(ListStep::Runs(runs));
            }
            if self.doorbell.changed().await.is_err() {
                // The sender lives in the changes, which this reader holds; without it there is nothing to wait for.
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
    fn a_reader_that_lags_by_too_many_runs_is_told_so() {
        let mut recent = Recent::default();
        (0..MEMORY as i64 + 1).for_each(|run| recent.note(RunKey(run)));
        assert_eq!(recent.after(0), None);
        assert_eq!(recent.after(1).map(|(runs, _)| runs.len()), Some(PAGE));
    }

    proptest! {
        /// A reader that comes at any times ends with each run as of its last change, however often it changed between.
        #[test]
        fn every_run_is_told_after_its_last_change(changes in prop::collection::vec((0i64..40, any::<bool>()), 0..400)) {
            let mut recent = Recent::default();
            let mut told: HashMap<RunKey, usize> = HashMap::new();
            let mut cursor = 0;
            let mut read = |recent: &Recent, now: usize| {
                let (runs, last) = recent.after(cursor).unwrap();
                cursor = last;
                runs.into_iter().for_each(|(run, _)| { told.insert(run, now); });
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
                prop_assert!(told[&RunKey(run)] >= now, "run {run}");
            }
            prop_assert_eq!(recent.by_version.len(), recent.of_run.len());
        }
    }
}
