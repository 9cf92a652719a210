use super::{Lease, ListEvent, RunChange, RunWrite, Updated, WriteStamp, forget_supervisors};
use crate::model::notify::NotifyEvent;
use crate::model::{FinalStatus, Timestamp};
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// Who ends an attempt.
#[derive(Clone, Copy, Debug)]
pub enum LeaseHolder {
    /// Its worker, by its lease.
    Worker(Lease),
    /// A server that found its lease expired. The worker may still write until then, which moves the head.
    Expired {
        run: RunKey,
        attempt: u32,
        /// The lease expired before this moment.
        before: Timestamp,
        /// The head of the journal that the end was made from.
        head: u64,
        /// Whether the run's cancellation was requested, if that matters.
        is_cancelled: Option<bool>,
    },
}

impl LeaseHolder {
    pub fn run(&self) -> RunKey {
        match self {
            Self::Worker(lease) => lease.run,
            Self::Expired { run, .. } => *run,
        }
    }

    fn attempt(&self) -> u32 {
        match self {
            Self::Worker(lease) => lease.attempt,
            Self::Expired { attempt, .. } => *attempt,
        }
    }
}

/// An attempt ends: `running` to `completed`, `failed`, `cancelled` or `interrupted`.
///
/// By its worker, or by the dispatcher that finds an expired lease. Refused if another server took the run, or, of an
/// expired lease, if the worker renewed it or journaled more: then there is nothing to recover, or it is to be looked
/// at again.
#[derive(Clone, Debug)]
pub struct FinishAttempt {
    pub holder: LeaseHolder,
    pub to: FinalStatus,
    /// Why it failed or was interrupted, in a sentence.
    pub error: Option<String>,
    /// The next attempt, if the run resumes automatically. It is queued in the same transaction, so no reader sees the
    /// run as finished; and not at all if the run's cancellation was requested or it was rejected.
    pub next: Option<Box<RunWrite>>,
}

impl RunChange for FinishAttempt {
    fn run(&self) -> RunKey {
        self.holder.run()
    }

    fn update(&self, stamp: &WriteStamp) -> Statement<'_> {
        match self.holder {
            LeaseHolder::Worker(lease) => statement!(
                "UPDATE runs SET head = head + $frames, clock = $clock,
                    status = $status, finished_at = $at, error = $error,
                    phase = NULL, cancel_by = NULL, cancel = NULL, lease_owner = NULL, lease_until = NULL,
                    gate = NULL, asked = NULL, question = NULL, answer = NULL
                 WHERE key = $run AND status = 'running' AND attempt = $attempt AND lease_token = $token
                 RETURNING status, attempt, head, lease_token, cancel_by";
                frames: stamp.frames,
                clock: stamp.clock,
                status: self.to.status(),
                at: stamp.at,
                error: self.error.as_deref(),
                run: lease.run,
                attempt: lease.attempt,
                token: lease.token,
            ),
            LeaseHolder::Expired { run, attempt, before, head, is_cancelled } => statement!(
                "UPDATE runs SET head = head + $frames, clock = $clock,
                    status = $status, finished_at = $at, error = $error,
                    phase = NULL, cancel_by = NULL, cancel = NULL, lease_owner = NULL, lease_until = NULL,
                    gate = NULL, asked = NULL, question = NULL, answer = NULL
                 WHERE key = $run AND status = 'running' AND attempt = $attempt AND lease_until < $before AND head = $head
                    AND coalesce(CASE WHEN cancel_by IS NOT NULL THEN 1 ELSE 0 END = $is_cancelled, 1 = 1)
                 RETURNING status, attempt, head, lease_token, cancel_by";
                frames: stamp.frames,
                clock: stamp.clock,
                status: self.to.status(),
                at: stamp.at,
                error: self.error.as_deref(),
                run: run,
                attempt: attempt,
                before: before,
                head: head,
                is_cancelled: is_cancelled,
            ),
        }
    }

    fn follow_ups(&self, updated: &Updated) -> Vec<Statement<'_>> {
        vec![
            statement!(
                "UPDATE attempts SET status = $status, finished_at = $at, error = $error
                 WHERE run = $run AND attempt = $attempt";
                status: self.to.status(),
                at: updated.at,
                error: self.error.as_deref(),
                run: self.holder.run(),
                attempt: self.holder.attempt(),
            ),
            forget_supervisors(self.holder.run()),
        ]
    }

    fn list_event(&self, journal: &JournalHead) -> Option<ListEvent> {
        // Active: it resumes automatically.
        Some(if journal.status.is_active() { ListEvent::Changed } else { ListEvent::BecameFinal })
    }

    fn is_timed(&self) -> bool {
        true
    }

    fn releases_worker(&self) -> bool {
        true
    }

    fn ends_attempt(&self) -> bool {
        true
    }

    fn notifies(&self) -> Option<NotifyEvent> {
        Some(NotifyEvent::from_final_status(self.to))
    }

    fn lease(&self) -> Option<Lease> {
        match self.holder {
            LeaseHolder::Worker(lease) => Some(lease),
            LeaseHolder::Expired { .. } => None,
        }
    }

    fn texts_mut(&mut self) -> Vec<&mut String> {
        self.error.iter_mut().collect()
    }
}
