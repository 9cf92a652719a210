//! Ends attempts whose worker is lost, and lets their runs resume if their pipelines say so.

use super::command::orphans::kill_attempt_orphans;
use super::interruption::{LossCause, LostRun, end_lost_attempt, end_unreadable_attempt};
use super::state::EngineState;
use crate::journal::WriteError;
use crate::model::Timestamp;
use crate::store::RunKey;
use crate::workspaces::folder_name;

/// Finds runs whose worker is lost.
pub(super) struct Recovery<'a> {
    pub(super) state: &'a EngineState,
}

impl Recovery<'_> {
    /// Recovers the runs whose lease has expired. Where the store is exclusive, no other server can hold a lease, so
    /// every running run counts that this server does not execute.
    ///
    /// Runs that this server executes are left alone whatever their lease says: the lease keeper judges by a clock that
    /// nobody sets.
    ///
    /// # Errors
    /// The database's own. An error with one run does not keep the others from being recovered.
    pub(super) async fn recover_lost_runs(&self, cause: LossCause) -> Result<(), WriteError> {
        let now = self.state.store.now();
        let before = match cause {
            LossCause::LeaseExpired => now,
            // Only runs that wait for an approval have a lease that never expires.
            LossCause::ServerGone | LossCause::WorkerFailed => Timestamp(i64::MAX),
        };
        for (run, _) in self.state.store.expired_leases(before).await? {
            if !self.state.running.contains(run) {
                isolate_error(run, self.recover_run(LostRun { run, cause, before, now }).await)?;
            }
        }
        Ok(())
    }

    /// Ends one attempt. Its write is conditional, so at most one server recovers it.
    async fn recover_run(&self, lost: LostRun) -> Result<(), WriteError> {
        let (key, store, options) = (lost.run, &self.state.store, &self.state.options);
        let (run, write) = match store.assignment(key).await {
            Ok(None) => return Ok(()),
            Ok(Some(assignment)) => {
                let write = end_lost_attempt(lost, &assignment);
                (assignment.run, write)
            }
            Err(error) if error.is_retryable() => return Err(error.into()),
            // A later version of the server or another program wrote the assignment. The run must not stay active
            // forever.
            Err(error) => {
                let Some(run) = store.run(key).await? else { return Ok(()) };
                tracing::error!(run = key.0, %error, "cannot read the pipeline of a lost run; its attempt is ended");
                let write = end_unreadable_attempt(lost, &run, "what it was to do cannot be read");
                (run, write)
            }
        };
        let recovered = match self.state.journal.write(write).await {
            // The worker has renewed its lease after all, or another server has recovered the run.
            Err(WriteError::Refused) => return Ok(()),
            recovered => recovered?,
        };
        let is_resumed = recovered.journal.status.is_active();
        tracing::warn!(run = key.0, attempt = run.attempt, is_resumed, "recovered a run whose worker was lost");
        kill_attempt_orphans(&options.workspaces.path(&run.id, run.attempt)).await;
        options.commands.end_attempt(&folder_name(&run.id, run.attempt)).await;
        options.workspaces.discard(&run.id, run.attempt).await;
        Ok(())
    }
}

/// Logs an error that concerns one run only, so that the others go on. A retryable error concerns all of them and is
/// returned.
pub(super) fn isolate_error<T>(run: RunKey, result: Result<T, WriteError>) -> Result<Option<T>, WriteError> {
    match result {
        Err(WriteError::Store(error)) if !error.is_retryable() => {
            tracing::error!(run = run.0, %error, "the database refuses an operation on a run; other runs go on");
            Ok(None)
        }
        result => result.map(Some),
    }
}
