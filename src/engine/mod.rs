//! The engine: the only place where a run's work starts, and only by winning the change `pending` to `running`.
//!
//! [`dispatch`] claims runs that wait, up to a number at once, and recovers those whose worker went away; [`worker`] holds one
//! attempt, [`attempt`] carries its phases out and [`tries`] a phase's command; [`interruption`] says what becomes of a run whose worker
//! goes away. [`process`] is a phase's command, which [`supervisor`] keeps on a leash, so that no child outlives the server. All that
//! happens is journaled. [`environment`] says which variables commands get. Knows no HTTP.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod attempt;
mod background;
pub mod cgroup;
mod child;
mod clock;
mod commands;
pub mod confinement;
mod disk_use;
mod dispatch;
mod ending;
pub mod environment;
mod interruption;
mod lease;
mod masking;
mod memory;
mod output;
pub mod own_process;
mod pipe;
mod places;
mod process;
mod process_table;
mod redraw;
mod report;
pub mod run_as;
pub mod sandbox;
mod secrets;
mod shortage;
mod spawn;
pub mod supervisor;
mod sweep;
mod tries;
mod usage;
mod verdict;
mod worker;
mod workspace;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::journal::Journal;
use crate::pipelines::Projects;
use crate::store::{RunKey, Store};

pub use commands::{CommandEvent, CommandSpec, Commands, Output, Outputs, Rights, RunningCommand, Variables};
pub use dispatch::EngineTask;
pub use process::Processes;
pub use report::{Exit, Processes as NamedProcesses, Signalled};
pub use workspace::{Workspaces, blocking, private_folder, remove};

/// How the engine works.
#[derive(Clone)]
pub struct EngineOptions {
    /// Who claims: a name for this instance, shown in the journal.
    pub owner: String,
    /// Runs at once.
    pub workers: usize,
    /// How long a claim lasts without a heartbeat.
    pub lease: Duration,
    /// Time from SIGTERM to SIGKILL.
    pub grace: Duration,
    /// The folders that runs may work in.
    pub projects: Arc<Projects>,
    /// Where runs without a project work, each in a folder of its own.
    pub scratch: PathBuf,
    /// Where each attempt has a folder of its own while it is carried out. Nobody else's: what is there at start is removed.
    pub workspaces: Workspaces,
    /// This program, which commands may call.
    pub program: PathBuf,
    /// What carries commands out.
    pub commands: Arc<dyn Commands>,
}

/// The engine, as others see it. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    options: EngineOptions,
    store: Store,
    journal: Journal,
    /// Rung when a run may wait or a worker is free.
    bell: Notify,
    /// The runs carried out here, each with the claim's number and the signal that ends it. Held for a look-up, never across
    /// an await.
    running: Mutex<Running>,
}

impl Engine {
    /// An engine, and the task that drives it until `stop` is cancelled and all its workers have ended.
    pub fn new(store: Store, journal: Journal, options: EngineOptions, stop: CancellationToken) -> (Self, EngineTask) {
        let running = Mutex::default();
        let shared = Arc::new(Shared { options, store, journal, bell: Notify::new(), running });
        (Self { shared: Arc::clone(&shared) }, EngineTask::new(shared, stop))
    }

    /// Says that a run waits. Nothing is lost if nobody says so: the engine also looks by itself.
    pub fn wake(&self) {
        self.shared.bell.notify_one();
    }

    /// Ends a run that is carried out here; that someone asked for it stands in the database. Elsewhere, its worker hears
    /// of it with its next heartbeat. With `force`, what it runs is killed at once.
    pub fn cancel(&self, run: RunKey, force: bool) {
        if !self.shared.cancel(run, force) {
            // It may wait for a person: then nobody has it, and a worker is to end it.
            self.wake();
        }
    }

    /// How long a command may take to end after it was asked to.
    pub fn grace(&self) -> Duration {
        self.shared.options.grace
    }

    /// How many runs are carried out here at once.
    pub fn workers(&self) -> usize {
        self.shared.options.workers
    }

    /// How many runs are carried out here now.
    pub fn busy(&self) -> usize {
        self.shared.running().len()
    }
}

type Running = HashMap<RunKey, (i64, CancelSignal)>;

/// How a worker hears that somebody wants its run to end.
#[derive(Clone, Debug, Default)]
struct CancelSignal {
    /// What runs is asked to end, and killed after the grace time.
    asked: CancellationToken,
    /// It is killed at once.
    forced: CancellationToken,
}

impl CancelSignal {
    fn cancel(&self, force: bool) {
        if force {
            self.forced.cancel();
        }
        self.asked.cancel();
    }
}

impl Shared {
    /// Tells a run's worker to end it. Whether there is one here.
    fn cancel(&self, run: RunKey, force: bool) -> bool {
        let running = self.running();
        let signal = running.get(&run).map(|(_, signal)| signal);
        signal.inspect(|signal| signal.cancel(force)).is_some()
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Running> {
        // Valid between any two statements, so a panic elsewhere does not matter.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
