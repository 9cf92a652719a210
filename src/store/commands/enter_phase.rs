use std::sync::Arc;

use super::{Lease, ListEvent, NewSupervisor, RunChange, SupervisorUpdate, Updated, WriteStamp};
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// A phase begins.
///
/// Called by the worker, before it starts the phase's command. Refused if the lease expired and another server took the
/// run: the command is not started.
#[derive(Clone, Debug)]
pub struct EnterPhase {
    pub lease: Lease,
    pub phase: Arc<str>,
    /// The supervisor of the phase's command, if another server can take it over.
    pub supervisor: Option<SupervisorUpdate>,
}

impl EnterPhase {
    /// The phase begins with the command of this supervisor.
    pub fn new(lease: Lease, phase: Arc<str>, supervisor: Option<NewSupervisor>) -> Self {
        Self { lease, phase, supervisor: supervisor.map(SupervisorUpdate::Ready) }
    }
}

impl RunChange for EnterPhase {
    fn run(&self) -> RunKey {
        self.lease.run
    }

    fn update(&self, stamp: &WriteStamp) -> Statement<'_> {
        statement!(
            "UPDATE runs SET head = head + $frames, clock = $clock, phase = $phase
             WHERE key = $run AND status = 'running' AND attempt = $attempt AND lease_token = $token
             RETURNING status, attempt, head, lease_token, cancel_by";
            frames: stamp.frames,
            clock: stamp.clock,
            phase: &self.phase,
            run: self.lease.run,
            attempt: self.lease.attempt,
            token: self.lease.token,
        )
    }

    fn follow_ups(&self, updated: &Updated) -> Vec<Statement<'_>> {
        self.supervisor.iter().map(|supervisor| supervisor.statement(self.lease, updated)).collect()
    }

    fn list_event(&self, _journal: &JournalHead) -> Option<ListEvent> {
        Some(ListEvent::Changed)
    }

    fn lease(&self) -> Option<Lease> {
        Some(self.lease)
    }
}
