//! One attempt of one run, from its claim to its end.
//!
//! Every write carries the lease: once it is gone, the journal refuses, and the worker ends what it started and says no more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::background::Background;
use super::interruption::{Cut, interrupt};
use super::report::Processes;
use super::verdict::Finished;
use super::workspace::discard;
use super::{CancelSignal, Shared};
use crate::journal::{MaskGuard, WriteError};
use crate::model::kinds::PhaseChange;
use crate::model::{End, Status, Timestamp, Transition};
use crate::store::{Assignment, Change, Guard, Lease, NewFrame, RunKey, Write};

/// How long a worker waits before it asks a database again that did not answer.
const RETRY: Duration = Duration::from_millis(200);

/// A claimed attempt.
pub struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) lease: Lease,
    /// Someone asked for the end of this run.
    pub(super) cancel: CancellationToken,
    /// Someone asked for it again: nothing is waited for any more.
    pub(super) force: CancellationToken,
    /// The server is stopping.
    pub(super) stop: CancellationToken,
    /// What phases have left running in the background.
    pub(super) background: Background,
    /// Processes that could not be ended.
    pub(super) stuck: Mutex<Vec<Processes>>,
    /// Has the attempt's secrets masked, once they are known.
    pub(super) mask: OnceLock<MaskGuard>,
}

impl Worker {
    fn new(shared: &Arc<Shared>, lease: Lease, stop: CancellationToken) -> Self {
        let CancelSignal { asked: cancel, forced: force } = CancelSignal::default();
        let (background, stuck) = (Background::default(), Mutex::default());
        Self { shared: Arc::clone(shared), lease, cancel, force, stop, background, stuck, mask: OnceLock::new() }
    }

    /// Tries to win the change `pending` to `running`. `None` if someone else has won.
    pub async fn claim(
        shared: &Arc<Shared>,
        run: RunKey,
        attempt: u32,
        stop: CancellationToken,
    ) -> Result<Option<Self>, WriteError> {
        let owner = shared.options.owner.clone();
        let reason = format!("claimed by {owner}");
        let change = Change::Claim { owner, until: later(Timestamp::now(), shared.options.lease) };
        let mut claim = Write::new(run, Guard::Standing(Status::Pending, attempt), change);
        claim.frames.push(NewFrame::status(Transition::Claim, reason));
        match shared.journal.write(claim).await {
            Ok(won) => Ok(Some(Self::new(shared, Lease { run, attempt, token: won.token }, stop))),
            Err(WriteError::Refused) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tries to take up a run that waited for a person. `None` if someone else was first.
    pub async fn resume(
        shared: &Arc<Shared>,
        run: RunKey,
        attempt: u32,
        stop: CancellationToken,
    ) -> Result<Option<Self>, WriteError> {
        let until = later(Timestamp::now(), shared.options.lease);
        let change = Change::Resume { owner: shared.options.owner.clone(), until };
        match shared.journal.write(Write::new(run, Guard::Answered(attempt), change)).await {
            Ok(won) => {
                let worker = Self::new(shared, Lease { run, attempt, token: won.token }, stop);
                if won.cancel_by.is_some() {
                    worker.cancel.cancel();
                }
                Ok(Some(worker))
            }
            Err(WriteError::Refused) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The claim that this worker has won.
    pub fn lease(&self) -> Lease {
        self.lease
    }

    /// The signal that ends the run because someone asked for it.
    pub(super) fn cancel_signal(&self) -> CancelSignal {
        CancelSignal { asked: self.cancel.clone(), forced: self.force.clone() }
    }

    /// Carries the attempt out.
    pub async fn work(self) {
        let done = tokio::select! {
            done = self.carry_out() => done,
            () = self.keep_lease() => Err(WriteError::Refused),
        };
        if let Err(error) = done {
            // The lease is gone or the database is: recovery will say what became of the run.
            tracing::warn!(run = self.lease.run.0, attempt = self.lease.attempt, %error, "the worker let go of its run");
        }
    }

    /// Extends the lease until it is lost. Hears, too, whether someone asked for the end through another instance.
    async fn keep_lease(&self) {
        let lease = self.shared.options.lease;
        let mut valid_until = Instant::now() + lease;
        loop {
            tokio::time::sleep(lease / 3).await;
            let asked = Instant::now();
            let extend = self.write(Change::Extend { until: later(Timestamp::now(), lease) });
            match tokio::time::timeout_at(valid_until, self.shared.journal.write(extend)).await {
                Ok(Ok(extended)) => {
                    valid_until = asked + lease;
                    if extended.cancel_by.is_some() {
                        self.cancel.cancel();
                    }
                }
                Ok(Err(WriteError::Store(error))) if error.is_retryable() && Instant::now() < valid_until => {}
                // Refused, or no answer in time: by now another worker may hold the run.
                _ => return,
            }
        }
    }

    async fn carry_out(&self) -> Result<(), WriteError> {
        let assignment = self.assignment().await?;
        // Asked for since the claim, and before this worker could be told.
        if assignment.cancel_by.is_some() {
            let force = assignment.run.cancel.as_ref().is_some_and(|cancel| cancel.force);
            self.cancel_signal().cancel(force);
        }
        // If the lease is gone, recovery takes what is left.
        let Some(Finished { verdict, end, rest }) = self.phases(&assignment).await? else { return Ok(()) };
        self.end_background().await?;
        let verdict = self.name_stuck(verdict);
        let mut write = self.write(Change::None);
        let skipped = rest.iter().map(|spec| PhaseChange::skipped(spec.name.clone()));
        if let Some(end) = end {
            end.tell(&mut write, BTreeMap::new());
        }
        skipped.for_each(|phase| write.add_phase(phase));
        let write = match verdict.to {
            // As the phases stand by now: those that ended well may be carried over.
            End::Interrupted => interrupt(write, &self.assignment().await?, verdict.reason, Cut::Stop),
            _ => verdict.finish(write),
        };
        // Before the run is finished, so that whoever sees that finds nothing of it left.
        discard(&self.shared.options.workspaces.of(&assignment.run.id, assignment.run.attempt)).await;
        self.shared.journal.write(write).await.map(drop)
    }

    /// What is to be done, and how it stands. Asked for until the database answers, or the lease is lost.
    async fn assignment(&self) -> Result<Assignment, WriteError> {
        loop {
            match self.shared.store.assignment(self.lease.run).await {
                Ok(assignment) => return assignment.ok_or(WriteError::Refused),
                Err(error) if error.is_retryable() => tokio::time::sleep(RETRY).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) fn write(&self, change: Change) -> Write {
        Write::new(self.lease.run, Guard::Lease(self.lease), change)
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    Timestamp(now.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}
