use super::{DiskPriority, Lease, ListEvent, RunChange, SupervisorUpdate, Updated, WriteStamp};
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// Appends frames of a worker's attempt: lines, errors, ends of phases. Changes nothing else of the run.
///
/// Called by the worker. Without frames it only checks the lease, and returns who requested the run's
/// cancellation. Refused if the lease expired and another server took the run: the worker stops.
#[derive(Clone, Debug)]
pub struct AppendFrames {
    pub lease: Lease,
    /// What becomes of the supervisor of a command: how far it is journaled with these frames.
    pub supervisor: Option<Box<SupervisorUpdate>>,
}

impl AppendFrames {
    /// Frames that come from no supervisor.
    pub const fn new(lease: Lease) -> Self {
        Self { lease, supervisor: None }
    }
}

impl RunChange for AppendFrames {
    fn run(&self) -> RunKey {
        self.lease.run
    }

    fn update(&self, stamp: &WriteStamp) -> Statement<'_> {
        statement!(
            "UPDATE runs SET head = head + $frames, clock = $clock
             WHERE key = $run AND status = 'running' AND attempt = $attempt AND lease_token = $token
             RETURNING status, attempt, head, lease_token, cancel_by";
            frames: stamp.frames,
            clock: stamp.clock,
            run: self.lease.run,
            attempt: self.lease.attempt,
            token: self.lease.token,
        )
    }

    fn follow_ups(&self, updated: &Updated) -> Vec<Statement<'_>> {
        self.supervisor.iter().map(|supervisor| supervisor.statement(self.lease, updated)).collect()
    }

    fn list_event(&self, _journal: &JournalHead) -> Option<ListEvent> {
        None
    }

    /// For lines. Ends of phases are urgent: see [`RunWrite::disk_priority`](super::RunWrite::disk_priority).
    fn disk_priority(&self) -> DiskPriority {
        DiskPriority::Deferrable
    }

    fn lease(&self) -> Option<Lease> {
        Some(self.lease)
    }
}
