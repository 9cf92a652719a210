//! One claimed attempt: its lease, its stop signals, and what all steps of the attempt read and write under that lease.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::command::launcher::RunningCommand;
use super::command::report::ProcessList;
use super::outcome::AttemptOutcome;
use super::signals::StopSignals;
use super::state::EngineState;
use crate::journal::{MaskGuard, WriteError};
use crate::model::kinds::{Failure, Notice};
use crate::model::{FinalStatus, FramePayload, Run, Timestamp};
use crate::store::{AppendFrames, Assignment, Committed, Lease, NewFrame, RunWrite, StoreError};
use crate::workspaces::folder_name;

/// The wait before a failed read is repeated.
const READ_RETRY_DELAY: Duration = Duration::from_millis(200);

/// A claimed attempt. Every write carries its lease: once the lease is lost, the journal refuses, and the attempt
/// stops.
pub(super) struct Attempt {
    pub(super) state: Arc<EngineState>,
    pub(super) lease: Lease,
    pub(super) signals: StopSignals,
    /// The latest time recorded for the run when it was claimed.
    pub(super) latest: Timestamp,
    /// Masks the attempt's secrets in its frames, up to its last write.
    mask: OnceLock<MaskGuard>,
    /// Processes that could not be ended.
    stuck: Mutex<Vec<ProcessList>>,
    /// A command that has ended, and whose end is not journaled yet. Another server could still ask for it.
    ended: Mutex<Option<Box<dyn RunningCommand>>>,
}

impl Attempt {
    /// The attempt that `won` has claimed.
    pub(super) fn new(state: &Arc<EngineState>, attempt: u32, won: &Committed, shutdown: CancellationToken) -> Self {
        let attempt = Self {
            state: Arc::clone(state),
            lease: Lease { run: won.run, attempt, token: won.token },
            signals: StopSignals::new(shutdown),
            latest: won.clock,
            mask: OnceLock::new(),
            stuck: Mutex::default(),
            ended: Mutex::default(),
        };
        attempt.observe_cancel(won);
        attempt
    }

    /// A write of frames under the attempt's lease.
    pub(super) fn append(&self) -> RunWrite {
        RunWrite::new(AppendFrames::new(self.lease))
    }

    /// Writes to the journal.
    ///
    /// # Errors
    /// [`WriteError::Refused`] once the lease is lost, or the database's error.
    pub(super) async fn commit(&self, write: RunWrite) -> Result<Committed, WriteError> {
        self.state.journal.write(write).await
    }

    /// Reads from the store, and repeats the read while the database is unavailable.
    ///
    /// # Errors
    /// The database's error, if repeating the read does not help.
    pub(super) async fn read<T, F>(&self, read: impl Fn() -> F) -> Result<T, WriteError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            match read().await {
                Err(error) if error.is_retryable() => tokio::time::sleep(READ_RETRY_DELAY).await,
                result => return Ok(result?),
            }
        }
    }

    /// What the attempt has to do, and the current state of its run.
    ///
    /// # Errors
    /// [`WriteError::Refused`] if the run is deleted, or the database's error.
    pub(super) async fn assignment(&self) -> Result<Assignment, WriteError> {
        self.read(|| self.state.store.assignment(self.lease.run)).await?.ok_or(WriteError::Refused)
    }

    /// Stops the attempt if a commit reports that its run was cancelled, perhaps through another server.
    pub(super) fn observe_cancel(&self, committed: &Committed) {
        if committed.cancel_by.is_some() {
            self.signals.cancel_signal().cancel(false);
        }
    }

    /// Keeps the supervisor of a command that has ended until that is journaled, or the attempt is dropped.
    pub(super) fn keep_ended(&self, command: Box<dyn RunningCommand>) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(command);
    }

    /// The end of the last command is journaled.
    pub(super) fn release_ended(&self) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Masks the attempt's secrets until the attempt is dropped.
    pub(super) fn hold_mask(&self, guard: MaskGuard) {
        // Secrets are loaded once per attempt, so the cell is empty.
        let _ = self.mask.set(guard);
    }

    /// Kills what the attempt's commands have left running, in whatever session or process group it is.
    pub(super) async fn end_commands(&self, run: &Run) {
        self.state.options.commands.end_attempt(&folder_name(&run.id, run.attempt)).await;
    }

    /// Journals what became of processes that outlived their command.
    pub(super) async fn journal_processes(
        &self,
        phase: &Arc<str>,
        notice: Option<Notice>,
        stuck: Option<ProcessList>,
    ) -> Result<(), WriteError> {
        let mut write = self.append();
        write.frames.extend(notice.map(|notice| NewFrame::now(Some(Arc::clone(phase)), &FramePayload::Notice(notice))));
        if let Some(stuck) = stuck {
            let failure = stuck_failure(&stuck);
            write.frames.push(NewFrame::now(Some(Arc::clone(phase)), &FramePayload::Error(failure)));
            self.stuck.lock().unwrap_or_else(PoisonError::into_inner).push(stuck);
        }
        if write.frames.is_empty() {
            return Ok(());
        }
        self.commit(write).await.map(drop)
    }

    /// Adds the processes that could not be ended to the attempt's outcome.
    pub(super) fn with_stuck_processes(&self, mut outcome: AttemptOutcome) -> AttemptOutcome {
        for stuck in self.stuck.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let failure = stuck_failure(stuck);
            outcome.reason += &format!("; {}", failure.message);
            match (&mut outcome.error, outcome.to) {
                (Some(error), _) => error.message += &format!("; {}", failure.message),
                // A completed run has no error, and an interrupted one has its reason.
                (error, FinalStatus::Cancelled) => *error = Some(failure),
                (None, _) => {}
            }
        }
        outcome
    }
}

/// `could not end pid 12 (sleep)`.
fn stuck_failure(stuck: &ProcessList) -> Failure {
    let named: Vec<String> =
        stuck.named.iter().map(|process| format!("pid {} ({})", process.pid, process.name)).collect();
    let more = match stuck.count.saturating_sub(named.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!("could not end {}{more}: end it by hand, as its owner", named.join(", "));
    Failure { code: "process_stuck".to_owned(), message, retryable: false }
}
