//! Who works when: claims runs that wait, in order and up to a number at once, and recovers those that nobody holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::sweep::sweep;
use super::worker::Worker;
use super::workspace::discard;
use crate::journal::WriteError;
use crate::model::kinds::PhaseChange;
use crate::model::pipeline::OnInterrupt;
use crate::model::{PhaseState, Pipeline, Run, Status, Timestamp, plan};
use crate::store::{Assignment, Change, Guard, NewFrame, RunKey, Write};

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
        match self.shared.store.asked().await {
            Ok(asked) => self.shared.options.workspaces.sweep(&asked).await,
            Err(error) => tracing::warn!(%error, "cannot look for workspaces that nobody needs"),
        }
        while !self.stop.is_cancelled() {
            if let Err(error) = self.recover().await {
                tracing::warn!(%error, "cannot look for runs whose worker went away");
            }
            if let Err(error) = self.resume().await {
                tracing::warn!(%error, "cannot look for runs that go on by themselves");
            }
            if let Err(error) = self.supersede().await {
                tracing::warn!(%error, "cannot look for runs whose place others take");
            }
            if let Err(error) = self.claim(&mut workers).await {
                tracing::warn!(%error, "cannot look for runs that wait");
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
        for (run, attempt, goes_on) in store.answered(ANSWERED).await? {
            // To end a run takes no worker's time, so it waits for none.
            if goes_on && self.free(workers).is_none() {
                break;
            }
            let resumed = Worker::resume(shared, run, attempt, self.stop.clone()).await?;
            resumed.into_iter().for_each(|worker| self.employ(workers, run, worker));
        }
        // Of several that wait for the same group one is claimed; then those behind them are looked at.
        while let Some(free) = self.free(workers) {
            let mut claimed = 0;
            for (run, attempt) in store.waiting(free).await? {
                let Some(worker) = Worker::claim(shared, run, attempt, self.stop.clone()).await? else { continue };
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

    /// Ends runs whose lease ran out as interrupted. Each is taken once, whoever else looks: the guard sees to it.
    async fn recover(&self) -> Result<(), WriteError> {
        let now = Timestamp::now();
        for (run, attempt) in self.shared.store.lapsed(now).await? {
            let Some(Assignment { run: lapsed, pipeline, .. }) = self.shared.store.assignment(run).await? else {
                continue;
            };
            match self.shared.journal.write(interruption(run, attempt, &lapsed, &pipeline, now)).await {
                Ok(_) => {
                    tracing::warn!(run = run.0, attempt, "recovered a run whose worker went away");
                    discard(&self.shared.options.workspaces.of(&lapsed.id, attempt)).await;
                }
                Err(WriteError::Refused) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl EngineTask {
    /// Asks for the end of runs whose place a later one of their group takes. Found by where the runs stand, so that nothing
    /// is lost if a server ends in between.
    async fn supersede(&self) -> Result<(), WriteError> {
        for (key, by) in self.shared.store.superseded().await? {
            let Some(run) = self.shared.store.run(key).await? else { continue };
            let by = format!("run {by}, which takes its place");
            let write = match run.status {
                Status::Running => Write::new(key, Guard::Standing(run.status, run.attempt), Change::AskCancel { by }),
                _ => match Write::cancel_waiting(key, &run, &by) {
                    Some(write) => write,
                    // It has ended.
                    None => continue,
                },
            };
            match self.shared.journal.write(write).await {
                Ok(_) => {
                    self.shared.cancel(key);
                }
                // It went on meanwhile: it is found again.
                Err(WriteError::Refused) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Asks for the new attempts of interrupted runs that go on by themselves. Each is asked for once, whoever else looks.
    async fn resume(&self) -> Result<(), WriteError> {
        for key in self.shared.store.to_resume().await? {
            let Some(Assignment { run, pipeline, .. }) = self.shared.store.assignment(key).await? else { continue };
            // All may have ended well, and only the last word been missing.
            let from =
                plan::first_unfinished(&run.phases, run.status, &pipeline).min(pipeline.phases.len().saturating_sub(1));
            let phase = pipeline.phases.get(from).map_or("", |spec| spec.name.as_str());
            let reason = format!("resumed by {} with phase {phase}", self.shared.options.owner);
            let params = run.params.clone();
            let queue = Write::queue(key, &run, Arc::new(pipeline.clone()), params, from, true, reason);
            // Somebody has asked for it meanwhile.
            let Some(queue) = queue else { continue };
            match self.shared.journal.write(queue).await {
                Ok(_) => tracing::info!(run = key.0, from, "resumed an interrupted run"),
                Err(WriteError::Refused) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The write that ends a lapsed run: the phase it was in, the phases it did not reach, the status.
fn interruption(key: RunKey, attempt: u32, run: &Run, pipeline: &Pipeline, now: Timestamp) -> Write {
    let reason = "its worker went away: the lease ran out".to_owned();
    let resume = pipeline.on_interrupt == OnInterrupt::Resume;
    let mut write =
        Write::new(key, Guard::Lapsed(attempt, now, run.head), Change::Interrupt { error: reason.clone(), resume });
    for phase in &run.phases {
        let (state, duration_ms) = match phase.state {
            PhaseState::Started => (PhaseState::Failed, phase.started_at.map(|at| now.since(at))),
            PhaseState::Pending => (PhaseState::Skipped, None),
            PhaseState::Completed | PhaseState::Failed | PhaseState::Skipped => continue,
        };
        write.add_phase(PhaseChange { name: phase.name.clone(), state, exit_code: None, duration_ms, carried: false });
    }
    write.frames.push(NewFrame::status(Status::Running, Status::Interrupted, reason));
    write
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
