//! Who works when: claims runs that wait, in order and up to a number at once, and recovers those that nobody holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::worker::Worker;
use super::workspace::discard;
use crate::journal::WriteError;
use crate::model::kinds::PhaseChange;
use crate::model::{PhaseState, Run, Status, Timestamp};
use crate::store::{Change, Guard, NewFrame, RunKey, Write};

/// How often the engine looks by itself for runs that wait or that nobody holds, at the most.
const LOOK: Duration = Duration::from_secs(1);

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
        self.shared.options.workspaces.sweep().await;
        while !self.stop.is_cancelled() {
            if let Err(error) = self.recover().await {
                tracing::warn!(%error, "cannot look for runs whose worker went away");
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

    /// Claims as many runs as there are free workers.
    async fn claim(&self, workers: &mut JoinSet<()>) -> Result<(), WriteError> {
        while workers.try_join_next().is_some() {}
        let free = self.shared.options.workers.saturating_sub(workers.len());
        if free == 0 {
            return Ok(());
        }
        let waiting = self.shared.store.waiting(u32::try_from(free).unwrap_or(u32::MAX)).await?;
        for (run, attempt) in waiting {
            let Some(worker) = Worker::claim(&self.shared, run, attempt, self.stop.clone()).await? else { continue };
            self.shared.running().insert(run, worker.cancel_signal());
            let shared = Arc::clone(&self.shared);
            workers.spawn(async move {
                // Whatever becomes of the worker, the run is no longer carried out here.
                let _gone = Gone { shared, run };
                worker.work().await;
            });
        }
        Ok(())
    }

    /// Ends runs whose lease ran out as interrupted. Each is taken once, whoever else looks: the guard sees to it.
    async fn recover(&self) -> Result<(), WriteError> {
        let now = Timestamp::now();
        for (run, attempt) in self.shared.store.lapsed(now).await? {
            let lapsed = self.shared.store.run(run).await?;
            match self.shared.journal.write(interruption(run, attempt, lapsed.as_ref(), now)).await {
                Ok(_) => {
                    tracing::warn!(run = run.0, attempt, "recovered a run whose worker went away");
                    if let Some(lapsed) = lapsed {
                        discard(&self.shared.options.workspaces.of(&lapsed.id, attempt)).await;
                    }
                }
                Err(WriteError::Refused) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The write that ends a lapsed run: the phase it was in, the phases it did not reach, the status.
fn interruption(key: RunKey, attempt: u32, run: Option<&Run>, now: Timestamp) -> Write {
    let reason = "its worker went away: the lease ran out".to_owned();
    let finish = Change::Finish { to: Status::Interrupted, error: Some(reason.clone()) };
    let mut write = Write::new(key, Guard::Lapsed(attempt, now), finish);
    for phase in run.iter().flat_map(|run| &run.phases) {
        let (state, duration_ms) = match phase.state {
            PhaseState::Started => (PhaseState::Failed, phase.started_at.map(|at| now.since(at))),
            PhaseState::Pending => (PhaseState::Skipped, None),
            PhaseState::Completed | PhaseState::Failed | PhaseState::Skipped => continue,
        };
        write.add_phase(PhaseChange { name: phase.name.clone(), state, exit_code: None, duration_ms });
    }
    write.frames.push(NewFrame::status(Status::Running, Status::Interrupted, reason));
    write
}

/// Takes a run from the list of those carried out here when dropped, and rings for the next.
struct Gone {
    shared: Arc<Shared>,
    run: RunKey,
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.shared.running().remove(&self.run);
        self.shared.bell.notify_one();
    }
}
