use super::{DiskPriority, Lease, ListEvent, RunChange, WriteStamp};
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// Appends frames of a worker's attempt: lines, errors, ends of phases. Changes nothing else.
///
/// Called by the worker. Without frames it only checks the lease, and returns who requested the run's
/// cancellation. Refused if the lease expired and another server took the run: the worker stops.
#[derive(Clone, Debug)]
pub struct AppendFrames {
    pub lease: Lease,
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
