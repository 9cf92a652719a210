//! The engine's main loop: claims waiting runs in order, up to a number at once, and recovers runs whose attempt was
//! lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::adoption::{AdoptedRun, adopt_runs, kept};
use super::attempt_runner::AttemptRunner;
use super::interruption::LossCause;
use super::options::EngineOptions;
use super::recovery::{Recovery, isolate_error};
use super::state::EngineState;
use crate::journal::WriteError;
use crate::model::{RunId, Status};
use crate::store::{CancelPending, DecidedRun, RequestCancel, RunKey};
use crate::workspaces::folder_name;

/// How long the engine waits at most before it looks for waiting and lost runs again.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long a server that leaves its commands to the next one waits until what it has read is journaled.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// How many runs with a decided approval are read at once.
const DECIDED_PAGE: u32 = 100;

/// The task that drives an engine.
pub struct EngineTask {
    state: Arc<EngineState>,
    stop: CancellationToken,
}

impl EngineTask {
    pub(super) fn new(state: Arc<EngineState>, stop: CancellationToken) -> Self {
        Self { state, stop }
    }

    /// Works until the stop signal is set and every attempt has ended, or until its attempts are left to the next
    /// server.
    pub async fn run(self) {
        let mut workers = JoinSet::new();
        let adopted = adopt_runs(&self.state, &self.stop).await;
        self.clean_up(&adopted).await;
        for AdoptedRun { run, runner, .. } in adopted {
            self.spawn_worker(&mut workers, run, runner);
        }
        let (_, hand_over) = self.state.options.commands.handover();
        let recovery = Recovery { state: &self.state };
        let mut cause = if self.state.store.is_exclusive() { LossCause::ServerGone } else { LossCause::LeaseExpired };
        while !self.stop.is_cancelled() && !hand_over.is_cancelled() {
            match recovery.recover_lost_runs(cause).await {
                Ok(()) if cause == LossCause::ServerGone => cause = LossCause::WorkerFailed,
                Ok(()) => {}
                Err(error) => log_error(&error, "cannot look for runs whose worker is lost"),
            }
            if let Err(error) = self.cancel_superseded_runs().await {
                log_error(&error, "cannot look for superseded runs");
            }
            if let Err(error) = self.claim(&mut workers).await {
                log_error(&error, "cannot look for waiting runs");
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = hand_over.cancelled() => {}
                () = self.state.wake_up.notified() => {}
                Some(_) = workers.join_next() => {}
                () = tokio::time::sleep(POLL_INTERVAL.min(self.state.options.lease / 3)) => {}
            }
        }
        if hand_over.is_cancelled() {
            self.leave(&mut workers).await;
        }
        while workers.join_next().await.is_some() {}
    }

    /// Leaves all attempts to the next server, as they are. What was read of their commands is journaled first.
    async fn leave(&self, workers: &mut JoinSet<()>) {
        let readers = &self.state.reading.readers;
        readers.close();
        if tokio::time::timeout(READ_TIMEOUT, readers.wait()).await.is_err() {
            tracing::info!("the database takes no writes; the next server reads again what is not journaled");
        }
        workers.abort_all();
    }

    /// Removes what an earlier server has left: processes, and the folders of attempts that neither were taken over nor
    /// wait for an approval.
    async fn clean_up(&self, adopted: &[AdoptedRun]) {
        let EngineOptions { workspaces, commands, .. } = &self.state.options;
        let (folders, sockets) = kept(adopted);
        commands.sweep(sockets, folders.clone()).await;
        match self.state.store.awaiting_approval().await {
            Ok(asked) => {
                let asked = asked.iter().map(|(run, attempt)| folder_name(run, *attempt));
                workspaces.sweep(&asked.chain(folders).collect()).await;
            }
            Err(error) => tracing::warn!(%error, "cannot look for workspaces that no run needs; the next start will"),
        }
    }

    /// Claims as many runs as there are free workers. Runs with a decided approval go first, since they began before
    /// the others.
    async fn claim(&self, workers: &mut JoinSet<()>) -> Result<(), WriteError> {
        let (state, store) = (&self.state, &self.state.store);
        for DecidedRun { run, attempt, goes_on } in store.decided(DECIDED_PAGE).await? {
            // A run that only has to end needs no free worker.
            if self.stop.is_cancelled() || goes_on && self.free(workers).is_none() {
                break;
            }
            let resumed = isolate_error(run, AttemptRunner::resume(state, run, attempt, self.stop.clone()).await)?;
            resumed.flatten().into_iter().for_each(|runner| self.spawn_worker(workers, run, runner));
        }
        // Of the runs that wait for the same concurrency group one is claimed. The next page then shows the runs behind
        // them.
        while let Some(free) = self.free(workers) {
            let mut claimed = 0;
            for (run, attempt) in store.claimable(free).await? {
                // After the stop signal, waiting runs are left to the next server.
                if self.stop.is_cancelled() {
                    return Ok(());
                }
                let won = isolate_error(run, AttemptRunner::claim(state, run, attempt, self.stop.clone()).await)?;
                let Some(runner) = won.flatten() else { continue };
                self.spawn_worker(workers, run, runner);
                claimed += 1;
            }
            if claimed == 0 {
                break;
            }
        }
        Ok(())
    }

    /// How many more workers may be started, if any.
    fn free(&self, workers: &mut JoinSet<()>) -> Option<u32> {
        while workers.try_join_next().is_some() {}
        let free = self.state.options.workers.saturating_sub(workers.len());
        (free > 0).then(|| u32::try_from(free).unwrap_or(u32::MAX))
    }

    fn spawn_worker(&self, workers: &mut JoinSet<()>, run: RunKey, runner: AttemptRunner) {
        let token = runner.lease().token;
        self.state.running.insert(run, token, runner.cancel_signal());
        let state = Arc::clone(&self.state);
        workers.spawn(async move {
            // Removes the run from the running ones even if the attempt panics.
            let _guard = RunningGuard { state, run, token };
            runner.run().await;
        });
    }

    /// Cancels runs that a later run of their concurrency group supersedes. They are found by their state in the
    /// database, so none is missed if a server ends in between.
    async fn cancel_superseded_runs(&self) -> Result<(), WriteError> {
        for (key, by) in self.state.store.superseded().await? {
            isolate_error(key, self.cancel_superseded(key, &by).await)?;
        }
        Ok(())
    }

    async fn cancel_superseded(&self, key: RunKey, by: &RunId) -> Result<(), WriteError> {
        let Some(run) = self.state.store.run(key).await? else { return Ok(()) };
        let by = format!("run {by}, which takes its place");
        let write = match run.status {
            Status::Running => RequestCancel::write(key, &run, by, self.state.options.grace, false),
            _ => match CancelPending::write(key, &run, &by) {
                Some(write) => write,
                // The run is finished.
                None => return Ok(()),
            },
        };
        match self.state.journal.write(write).await {
            Ok(_) => {
                self.state.running.cancel(key, false);
                Ok(())
            }
            // The run has changed meanwhile; the next pass finds it again.
            Err(WriteError::Refused) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Removes a run from the running ones when dropped, and wakes the dispatcher: a worker is free.
struct RunningGuard {
    state: Arc<EngineState>,
    run: RunKey,
    token: i64,
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.state.running.remove(self.run, self.token);
        self.state.wake_up.notify_one();
    }
}

/// Logs an error. The journal's writer already logs, once, that the database is unavailable.
fn log_error(error: &WriteError, context: &str) {
    match error {
        WriteError::Store(error) if error.is_retryable() => tracing::debug!(%error, "{context}"),
        error => tracing::warn!(%error, "{context}"),
    }
}
