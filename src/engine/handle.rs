//! The engine as other parts of the server see it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::dispatch::EngineTask;
use super::options::EngineOptions;
use super::output::Reading;
use super::state::{EngineState, RunningRuns};
use crate::journal::Journal;
use crate::store::{RunKey, Store};

/// A handle on the engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    state: Arc<EngineState>,
}

impl Engine {
    /// Creates an engine, and the task that drives it until `stop` is cancelled and all its attempts have ended, or
    /// until the server leaves its commands to the next one ([`handover`](super::CommandLauncher::handover)).
    pub fn new(store: Store, journal: Journal, options: EngineOptions, stop: CancellationToken) -> (Self, EngineTask) {
        let running = RunningRuns::default();
        let reading = Reading { stop: options.commands.handover().1, ..Reading::default() };
        let state = Arc::new(EngineState { options, store, journal, wake_up: Notify::new(), running, reading });
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
