//! Who works when: claims runs that wait, in order and up to a number at once, and recovers those that nobody holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::interruption::{Loss, Lost, lapsed, unreadable};
use super::sweep::{sweep, sweep_attempt};
use super::worker::Worker;
use super::workspace::name_of;
use crate::journal::WriteError;
use crate::model::{RunId, Status, Timestamp};
use crate::store::{CancelPending, DecidedRun, RequestCancel, RunKey};

/// How often the engine looks by itself for runs that wait or that nobody holds, at the most.
const LOOK: Duration = Duration::from_secs(1);

/// How many answered runs are looked at together.
const ANSWERED: u32 = 100;

/// The task that drives an engine.
pub struct EngineTask {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

impl EngineTask {
    pub(super) fn new(shared: Arc<Shared>, stop: CancellationToken) -> Self {
        Self { shared, stop }
    }

    /// Works until the stop signal comes and every worker has ended.
    pub async fn run(self) {
        let mut workers = JoinSet::new();
        // Nobody works here yet: what is there was left by a server that is gone, with all it started.
        let workspaces = self.shared.options.workspaces.root().to_owned();
        let _ = tokio::task::spawn_blocking(move || sweep(&workspaces)).await;
        // Only what waits for a person goes on from where it is.
        match self.shared.store.awaiting_approval().await {
            Ok(asked) => self.shared.options.workspaces.sweep(&asked).await,
            Err(error) => tracing::warn!(%error, "cannot look for workspaces that nobody needs"),
        }
        let mut loss = if self.shared.store.is_exclusive() { Loss::Server } else { Loss::Lease };
        while !self.stop.is_cancelled() {
            match self.recover(loss).await {
                Ok(()) if loss == Loss::Server => loss = Loss::Worker,
                Ok(()) => {}
                Err(error) => report(&error, "cannot look for runs whose worker went away"),
            }
            if let Err(error) = self.supersede().await {
                report(&error, "cannot look for runs whose place others take");
            }
            if let Err(error) = self.claim(&mut workers).await {
                report(&error, "cannot look for runs that wait");
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = self.shared.bell.notified() => {}
                Some(_) = workers.join_next() => {}
                () = tokio::time::sleep(LOOK.min(self.shared.options.lease / 3)) => {}
            }
        }
        while workers.join_next().await.is_some() {}
    }

    /// Claims as many runs as there are free workers: those that a person has answered first, since they began before.
    async fn claim(&self, workers: &mut JoinSet<()>) -> Result<(), WriteError> {
        let (shared, store) = (&self.shared, &self.shared.store);
        for DecidedRun { run, attempt, goes_on } in store.decided(ANSWERED).await? {
            // To end a run takes no worker's time, so it waits for none.
            if self.stop.is_cancelled() || goes_on && self.free(workers).is_none() {
                break;
            }
            let resumed = skip_fault(run, Worker::resume(shared, run, attempt, self.stop.clone()).await)?;
            resumed.flatten().into_iter().for_each(|worker| self.employ(workers, run, worker));
        }
        // Of several that wait for the same group one is claimed; then those behind them are looked at.
        while let Some(free) = self.free(workers) {
            let mut claimed = 0;
            for (run, attempt) in store.claimable(free).await? {
                // A run that goes on after this stop is another server's.
                if self.stop.is_cancelled() {
                    return Ok(());
                }
                let won = skip_fault(run, Worker::claim(shared, run, attempt, self.stop.clone()).await)?;
                let Some(worker) = won.flatten() else { continue };
                self.employ(workers, run, worker);
                claimed += 1;
            }
            if claimed == 0 {
                break;
            }
        }
        Ok(())
    }

    /// How many workers more there may be. `None` for none.
    fn free(&self, workers: &mut JoinSet<()>) -> Option<u32> {
        while workers.try_join_next().is_some() {}
        let free = self.shared.options.workers.saturating_sub(workers.len());
        (free > 0).then(|| u32::try_from(free).unwrap_or(u32::MAX))
    }

    fn employ(&self, workers: &mut JoinSet<()>, run: RunKey, worker: Worker) {
        let claim = worker.lease().token;
        self.shared.running().insert(run, (claim, worker.cancel_signal()));
        let shared = Arc::clone(&self.shared);
        workers.spawn(async move {
            // Whatever becomes of the worker, the run is no longer carried out here.
            let _gone = Gone { shared, run, claim };
            worker.work().await;
        });
    }

    /// Ends attempts that nobody carries out. Each is taken once, whoever else looks: the guard sees to it.
    ///
    /// What is carried out here is left alone whatever its lease says: its worker lets go of it by itself, by a clock that nobody sets.
    async fn recover(&self, loss: Loss) -> Result<(), WriteError> {
        let now = Timestamp::wall();
        let before = match loss {
            Loss::Lease => now,
            // Nobody else can carry a run out, so no lease counts; only the one that never ends, of a run that waits for a person.
            Loss::Server | Loss::Worker => Timestamp(i64::MAX),
        };
        for (run, _) in self.shared.store.expired_leases(before).await? {
            if !self.shared.running().contains_key(&run) {
                skip_fault(run, self.take(Lost { run, loss, before, now }).await)?;
            }
        }
        Ok(())
    }

    /// Ends an attempt that nobody carries out.
    async fn take(&self, lost: Lost) -> Result<(), WriteError> {
        let (key, store, options) = (lost.run, &self.shared.store, &self.shared.options);
        let (run, write) = match store.assignment(key).await {
            Ok(None) => return Ok(()),
            Ok(Some(assignment)) => {
                let write = lapsed(lost, &assignment);
                (assignment.run, write)
            }
            Err(error) if error.is_retryable() => return Err(error.into()),
            // A later version has written it, or another program. It is not to stay active for ever.
            Err(error) => {
                let Some(run) = store.run(key).await? else { return Ok(()) };
                tracing::error!(run = key.0, %error, "cannot read what a run was to do");
                let write = unreadable(lost, &run, "what it was to do cannot be read");
                (run, write)
            }
        };
        let recovered = match self.shared.journal.write(write).await {
            // Its worker has come back, or somebody else was faster.
            Err(WriteError::Refused) => return Ok(()),
            recovered => recovered?,
        };
        let goes_on = recovered.journal.status.is_active();
        tracing::warn!(run = key.0, attempt = run.attempt, goes_on, "recovered a run whose worker went away");
        sweep_attempt(&options.workspaces.of(&run.id, run.attempt)).await;
        options.commands.end_attempt(&name_of(&run.id, run.attempt)).await;
        options.workspaces.discard(&run.id, run.attempt).await;
        Ok(())
    }
}

/// Logs what went wrong. What the database cannot do just now is reported by the journal's writer, once.
fn report(error: &WriteError, what: &str) {
    match error {
        WriteError::Store(error) if error.is_retryable() => tracing::debug!(%error, "{what}"),
        error => tracing::warn!(%error, "{what}"),
    }
}

/// What goes wrong with one run holds no other one up; but a database that does not answer will not answer for the next one either.
fn skip_fault<T>(run: RunKey, done: Result<T, WriteError>) -> Result<Option<T>, WriteError> {
    match done {
        Err(WriteError::Store(error)) if !error.is_retryable() => {
            tracing::error!(run = run.0, %error, "the database cannot do this with a run; the others go on");
            Ok(None)
        }
        done => done.map(Some),
    }
}

impl EngineTask {
    /// Asks for the end of runs whose place a later one of their group takes. Found by where the runs stand, so that nothing
    /// is lost if a server ends in between.
    async fn supersede(&self) -> Result<(), WriteError> {
        for (key, by) in self.shared.store.superseded().await? {
            skip_fault(key, self.displace(key, &by).await)?;
        }
        Ok(())
    }

    /// Asks for the end of a run whose place this one takes.
    async fn displace(&self, key: RunKey, by: &RunId) -> Result<(), WriteError> {
        let Some(run) = self.shared.store.run(key).await? else { return Ok(()) };
        let by = format!("run {by}, which takes its place");
        let write = match run.status {
            Status::Running => RequestCancel::write(key, &run, by, self.shared.options.grace, false),
            _ => match CancelPending::write(key, &run, &by) {
                Some(write) => write,
                // It has ended.
                None => return Ok(()),
            },
        };
        match self.shared.journal.write(write).await {
            Ok(_) => {
                self.shared.cancel(key, false);
                Ok(())
            }
            // It went on meanwhile: it is found again.
            Err(WriteError::Refused) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Takes a run from the list of those carried out here when dropped, and rings for the next.
struct Gone {
    shared: Arc<Shared>,
    run: RunKey,
    claim: i64,
}

impl Drop for Gone {
    fn drop(&mut self) {
        let mut running = self.shared.running();
        // A run that was answered at once may have its next worker already.
        if running.get(&self.run).is_some_and(|(claim, _)| *claim == self.claim) {
            running.remove(&self.run);
        }
        drop(running);
        self.shared.bell.notify_one();
    }
}
