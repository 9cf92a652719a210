//! What all parts of an engine share.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::drain::Drain;
use super::options::EngineOptions;
use super::signals::CancelSignal;
use crate::journal::Journal;
use crate::store::{RunKey, Store};

/// The state shared by an engine's dispatcher, its attempts and its handles.
pub(super) struct EngineState {
    pub(super) options: EngineOptions,
    pub(super) store: Store,
    pub(super) journal: Journal,
    /// Notified when a run may be waiting or a worker is free.
    pub(super) wake_up: Notify,
    pub(super) running: RunningRuns,
    pub(super) drain: Drain,
}

/// A run that this server executes.
struct RunningRun {
    /// That of its claim.
    token: i64,
    cancel: CancelSignal,
    /// Has the lease renewed at once, which also finds out whether the run was cancelled.
    renew: Arc<Notify>,
}

/// The runs that this server executes now.
#[derive(Default)]
pub(super) struct RunningRuns {
    /// Never locked across an await.
    runs: Mutex<HashMap<RunKey, RunningRun>>,
}

impl RunningRuns {
    pub(super) fn insert(&self, run: RunKey, token: i64, cancel: CancelSignal, renew: Arc<Notify>) {
        self.lock().insert(run, RunningRun { token, cancel, renew });
    }

    /// Removes a run unless a later claim has replaced it: a run that was resumed at once may have its next attempt
    /// already.
    pub(super) fn remove(&self, run: RunKey, token: i64) {
        let mut runs = self.lock();
        if runs.get(&run).is_some_and(|known| known.token == token) {
            runs.remove(&run);
        }
    }

    pub(super) fn contains(&self, run: RunKey) -> bool {
        self.lock().contains_key(&run)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Cancels a run. Returns whether this server executes it.
    pub(super) fn cancel(&self, run: RunKey, force: bool) -> bool {
        let runs = self.lock();
        runs.get(&run).inspect(|run| run.cancel.cancel(force)).is_some()
    }

    /// Has the lease of a run renewed at once. Returns whether this server executes it.
    pub(super) fn renew(&self, run: RunKey) -> bool {
        let runs = self.lock();
        runs.get(&run).inspect(|run| run.renew.notify_one()).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunKey, RunningRun>> {
        self.runs.lock()
    }
}
