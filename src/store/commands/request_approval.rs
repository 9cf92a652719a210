use std::sync::Arc;

use super::{Lease, ListEvent, RunChange, Updated, WriteStamp, forget_supervisors};
use crate::model::notify::NotifyEvent;
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// The lease of a run that waits for a person does not expire.
const NEVER: i64 = i64::MAX;

/// Requests approval before a phase, and releases the worker until the decision.
///
/// Called by the worker, whose further writes are refused from then on. The last frame of the write is the question;
/// its seq names it. Refused if the lease expired and another server took the run.
#[derive(Clone, Debug)]
pub struct RequestApproval {
    pub lease: Lease,
    /// The phase that waits.
    pub phase: Arc<str>,
    pub question: String,
}

impl RunChange for RequestApproval {
    fn run(&self) -> RunKey {
        self.lease.run
    }

    fn update(&self, stamp: &WriteStamp) -> Statement<'_> {
        statement!(
            "UPDATE runs SET head = head + $frames, clock = $clock, phase = $phase,
                lease_owner = NULL, lease_until = $never, lease_token = lease_token + 1,
                gate = 'waiting', asked = head + $frames, question = $question, answer = NULL
             WHERE key = $run AND status = 'running' AND attempt = $attempt AND lease_token = $token
             RETURNING status, attempt, head, lease_token, cancel_by";
            frames: stamp.frames,
            clock: stamp.clock,
            phase: &self.phase,
            never: NEVER,
            question: &self.question,
            run: self.lease.run,
            attempt: self.lease.attempt,
            token: self.lease.token,
        )
    }

    fn follow_ups(&self, _updated: &Updated) -> Vec<Statement<'_>> {
        vec![forget_supervisors(self.lease.run)]
    }

    fn list_event(&self, _journal: &JournalHead) -> Option<ListEvent> {
        Some(ListEvent::Changed)
    }

    fn releases_worker(&self) -> bool {
        true
    }

    fn notifies(&self) -> Option<NotifyEvent> {
        Some(NotifyEvent::Waiting)
    }

    fn lease(&self) -> Option<Lease> {
        Some(self.lease)
    }

    fn texts_mut(&mut self) -> Vec<&mut String> {
        vec![&mut self.question]
    }
}
