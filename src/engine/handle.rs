//! The engine as other parts of the server see it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::dispatch::EngineTask;
use super::drain::Drain;
use super::options::EngineOptions;
use super::state::{EngineState, RunningRuns};
use crate::journal::Journal;
use crate::model::Timestamp;
use crate::store::{RunKey, Store};

/// A handle on the engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    state: Arc<EngineState>,
}

impl Engine {
    /// Creates an engine, and the task that drives it until `stop` is cancelled and all its attempts have ended.
    pub fn new(store: Store, journal: Journal, options: EngineOptions, stop: CancellationToken) -> (Self, EngineTask) {
        let running = RunningRuns::default();
        let state =
            Arc::new(EngineState { options, store, journal, wake_up: Notify::new(), running, drain: Drain::default() });
        (Self { state: Arc::clone(&state) }, EngineTask::new(state, stop))
    }

    /// Tells the engine that a run is waiting. A lost call only delays the run: the engine also polls.
    pub fn wake(&self) {
        self.state.wake_up.notify_one();
    }

    /// Stops a run that this server executes; the request itself is in the database already. An attempt on another
    /// server sees it with its next lease renewal. With `force`, its commands are killed at once.
    pub fn cancel(&self, run: RunKey, force: bool) {
        if !self.state.running.cancel(run, force) {
            // The run may be waiting for approval: then no attempt executes it, and the dispatcher has to end it.
            self.wake();
        }
    }

    /// Another instance has changed a run: this one may have to stop it, or may claim it.
    pub fn observe(&self, run: RunKey) {
        if !self.state.running.renew(run) {
            self.wake();
        }
    }

    /// Takes no more runs, and finishes those that are executed. It cannot be undone.
    pub fn drain(&self) {
        self.state.drain.request();
        self.wake();
    }

    /// Since when the engine is draining.
    pub fn draining_since(&self) -> Option<Timestamp> {
        self.state.drain.since()
    }

    /// Waits until [`Self::drain`] is called. Cancel safe.
    pub async fn draining(&self) {
        self.state.drain.requested().await;
    }

    /// Waits until the engine was drained: it executes nothing and will not. Cancel safe.
    pub async fn drained(&self) {
        self.state.drain.finished().await;
    }

    /// How the engine is configured.
    pub fn options(&self) -> &EngineOptions {
        &self.state.options
    }

    /// Time between SIGTERM and SIGKILL.
    pub fn grace(&self) -> Duration {
        self.state.options.grace
    }

    /// The most runs that are executed at once.
    pub fn workers(&self) -> usize {
        self.state.options.workers
    }

    /// How many runs are executed now.
    pub fn busy(&self) -> usize {
        self.state.running.len()
    }
}
