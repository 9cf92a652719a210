//! What all parts of an engine share.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::options::EngineOptions;
use super::output::Reading;
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
    /// What reads the output of commands.
    pub(super) reading: Reading,
}

impl EngineState {
    /// Whether another server can take over the commands of this one.
    pub(super) fn hands_over(&self) -> bool {
        !self.options.commands.handover().0.is_zero()
    }
}

/// The runs that this server executes now.
#[derive(Default)]
pub(super) struct RunningRuns {
    /// By run: the token of its claim, and its cancel signal. Never locked across an await.
    runs: Mutex<HashMap<RunKey, (i64, CancelSignal)>>,
}

impl RunningRuns {
    pub(super) fn insert(&self, run: RunKey, token: i64, cancel: CancelSignal) {
        self.lock().insert(run, (token, cancel));
    }

    /// Removes a run unless a later claim has replaced it: a run that was resumed at once may have its next attempt
    /// already.
    pub(super) fn remove(&self, run: RunKey, token: i64) {
        let mut runs = self.lock();
        if runs.get(&run).is_some_and(|(known, _)| *known == token) {
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
        let signal = runs.get(&run).map(|(_, signal)| signal);
        signal.inspect(|signal| signal.cancel(force)).is_some()
    }

    /// A poisoned lock is safe to use: the map is valid between any two statements.
    fn lock(&self) -> MutexGuard<'_, HashMap<RunKey, (i64, CancelSignal)>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
