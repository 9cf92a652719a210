//! Executes one claimed attempt from its claim to its final write.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::adoption::{AdoptedAttempt, journal_adoption};
use super::attempt::Attempt;
use super::background::BackgroundCommands;
use super::claim;
use super::clock::{WithClock, attempt_clock};
use super::command::orphans::kill_attempt_orphans;
use super::interruption::{InterruptCause, close_phases, interrupt};
use super::lease_keeper::LeaseKeeper;
use super::outcome::{AttemptOutcome, FinalWrite};
use super::phase_sequence::PhaseSequence;
use super::signals::CancelSignal;
use super::state::EngineState;
use crate::journal::WriteError;
use crate::model::kinds::{Failure, PhaseChange};
use crate::model::{FinalStatus, Timestamp};
use crate::store::{Lease, LeaseHolder, RunKey, StoreError};

/// A claimed attempt that is about to be executed.
pub(super) struct AttemptRunner {
    attempt: Attempt,
    /// What an earlier server has left of it.
    adopted: Mutex<Option<AdoptedAttempt>>,
}

impl AttemptRunner {
    fn new(attempt: Attempt, adopted: Option<AdoptedAttempt>) -> Self {
        Self { attempt, adopted: Mutex::new(adopted) }
    }

    /// Continues an attempt of an earlier server.
    pub(super) fn adopted(attempt: Attempt, adopted: AdoptedAttempt) -> Self {
        Self::new(attempt, Some(adopted))
    }

    /// Claims a pending run. `None` if it is no longer pending.
    ///
    /// # Errors
    /// The database's own.
    pub(super) async fn claim(
        state: &Arc<EngineState>,
        run: RunKey,
        attempt: u32,
        shutdown: CancellationToken,
    ) -> Result<Option<Self>, WriteError> {
        Ok(claim::claim_run(state, run, attempt, shutdown).await?.map(|attempt| Self::new(attempt, None)))
    }

    /// Takes up a run whose approval was decided. `None` if another server has.
    ///
    /// # Errors
    /// The database's own.
    pub(super) async fn resume(
        state: &Arc<EngineState>,
        run: RunKey,
        attempt: u32,
        shutdown: CancellationToken,
    ) -> Result<Option<Self>, WriteError> {
        Ok(claim::resume_run(state, run, attempt, shutdown).await?.map(|attempt| Self::new(attempt, None)))
    }

    pub(super) fn lease(&self) -> Lease {
        self.attempt.lease
    }

    pub(super) fn cancel_signal(&self) -> CancelSignal {
        self.attempt.signals.cancel_signal()
    }

    /// Executes the attempt. Its frames carry the attempt's own clock.
    pub(super) async fn run(self) {
        let clock = attempt_clock(self.attempt.latest);
        WithClock::new(clock, self.run_under_lease()).await;
    }

    /// Executes the attempt while its lease holds.
    async fn run_under_lease(&self) {
        let result = tokio::select! {
            result = self.execute() => result,
            () = LeaseKeeper::new(&self.attempt).run() => Err(WriteError::Refused),
        };
        let result = match result {
            Err(WriteError::Store(StoreError::Full(_))) => self.fail_for_full_disk().await,
            result => result,
        };
        if let Err(error) = result {
            // Recovery will write the end of the attempt.
            let Lease { run, attempt, .. } = self.attempt.lease;
            tracing::warn!(run = run.0, attempt, %error, "an attempt stopped without its final write; recovery will end it");
        }
    }

    /// Runs the phases and writes the end of the attempt, unless the run now waits for an approval.
    async fn execute(&self) -> Result<(), WriteError> {
        let attempt = &self.attempt;
        let assignment = attempt.assignment().await?;
        let adopted = self.adopted.lock().unwrap_or_else(PoisonError::into_inner).take();
        if adopted.is_some() {
            journal_adoption(attempt).await?;
        }
        // The run may have been cancelled between the claim and the registration of this attempt's cancel signal.
        if assignment.cancel_by.is_some() {
            let force = assignment.run.cancel.as_ref().is_some_and(|cancel| cancel.force);
            attempt.signals.cancel_signal().cancel(force);
        }
        let background = BackgroundCommands::new(attempt);
        let sequence = PhaseSequence { attempt, background: &background, assignment: &assignment };
        let Some(FinalWrite { outcome, phase, rest }) = sequence.run(adopted).await? else { return Ok(()) };
        background.end().await?;
        let outcome = attempt.with_stuck_processes(outcome);
        let mut write = attempt.append();
        let skipped = rest.iter().map(|spec| PhaseChange::skipped(spec.name.clone()));
        if let Some(phase) = phase {
            phase.add_to(&mut write, BTreeMap::new());
        }
        skipped.for_each(|phase| write.add_phase(phase));
        let holder = LeaseHolder::Worker(attempt.lease);
        let write = match outcome.to {
            // The next attempt carries over the phases that have completed by now.
            FinalStatus::Interrupted => {
                interrupt(holder, write, &attempt.assignment().await?, outcome.reason, InterruptCause::Shutdown)
            }
            _ => outcome.finish(holder, write),
        };
        // Removed before the run is finished: a client that sees its end must find no processes or folders of it.
        let run = &assignment.run;
        attempt.end_commands(run).await;
        attempt.state.options.workspaces.discard(&run.id, run.attempt).await;
        attempt.commit(write).await.map(drop)
    }

    /// Ends an attempt whose frames had no room on the disk for too long. Its command has ended by now.
    async fn fail_for_full_disk(&self) -> Result<(), WriteError> {
        let attempt = &self.attempt;
        let assignment = attempt.assignment().await?;
        let mut write = attempt.append();
        close_phases(&mut write, &assignment.run, Timestamp::now());
        let outcome = match &assignment.cancel_by {
            Some(by) => AttemptOutcome::cancelled(by),
            None => AttemptOutcome::failed(Failure {
                code: "disk_full".to_owned(),
                message: "the disk is full: there was no room for what the run reports. Make room and run it again"
                    .to_owned(),
                retryable: true,
            }),
        };
        let (run, workspaces) = (&assignment.run, &attempt.state.options.workspaces);
        kill_attempt_orphans(&workspaces.path(&run.id, run.attempt)).await;
        attempt.end_commands(run).await;
        workspaces.discard(&run.id, run.attempt).await;
        attempt.commit(outcome.finish(LeaseHolder::Worker(attempt.lease), write)).await.map(drop)
    }
}
