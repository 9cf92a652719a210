use super::{ListEvent, NewFrame, RunChange, RunWrite, Updated, WriteStamp};
use crate::model::kinds::{PhaseChange, PhaseState};
use crate::model::notify::NotifyEvent;
use crate::model::{Run, Status, Transition};
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// A run that waits for a worker is cancelled: `pending` to `cancelled`.
///
/// Called by a person, or by the dispatcher where a later run of its concurrency group takes its place. Refused if a
/// worker has claimed the run meanwhile: then its cancellation is to be requested
/// ([`RequestCancel`](super::RequestCancel)).
#[derive(Clone, Debug)]
pub struct CancelPending {
    pub run: RunKey,
    pub attempt: u32,
}

impl CancelPending {
    /// The write that cancels this run. `None` if it does not wait for a worker.
    pub fn write(key: RunKey, run: &Run, by: &str) -> Option<RunWrite> {
        if run.status != Status::Pending {
            return None;
        }
        let mut write = RunWrite::new(Self { run: key, attempt: run.attempt });
        // Not those that were carried over from an earlier attempt.
        for phase in run.phases.iter().filter(|phase| phase.state == PhaseState::Pending) {
            write.add_phase(PhaseChange::skipped(phase.name.clone()));
        }
        write.frames.push(NewFrame::status(Transition::CancelPending, format!("cancelled by {by}")));
        Some(write)
    }
}

impl RunChange for CancelPending {
    fn run(&self) -> RunKey {
        self.run
    }

    fn update(&self, stamp: &WriteStamp) -> Statement<'_> {
        statement!(
            "UPDATE runs SET head = head + $frames, clock = $clock,
                status = 'cancelled', finished_at = $at, error = NULL,
                phase = NULL, cancel_by = NULL, cancel = NULL, lease_owner = NULL, lease_until = NULL,
                gate = NULL, asked = NULL, question = NULL, answer = NULL
             WHERE key = $run AND status = 'pending' AND attempt = $attempt AND deleted_at IS NULL
             RETURNING status, attempt, head, lease_token, cancel_by";
            frames: stamp.frames,
            clock: stamp.clock,
            at: stamp.at,
            run: self.run,
            attempt: self.attempt,
        )
    }

    fn follow_ups(&self, updated: &Updated) -> Vec<Statement<'_>> {
        vec![statement!(
            "UPDATE attempts SET status = 'cancelled', finished_at = $at, error = NULL
             WHERE run = $run AND attempt = $attempt";
            at: updated.at,
            run: self.run,
            attempt: self.attempt,
        )]
    }

    fn list_event(&self, _journal: &JournalHead) -> Option<ListEvent> {
        Some(ListEvent::BecameFinal)
    }

    fn is_timed(&self) -> bool {
        true
    }

    fn wants_run_after(&self) -> bool {
        true
    }

    fn releases_worker(&self) -> bool {
        true
    }

    fn ends_attempt(&self) -> bool {
        true
    }

    fn notifies(&self) -> Option<NotifyEvent> {
        Some(NotifyEvent::Cancelled)
    }
}
