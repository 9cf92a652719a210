use super::{DiskPriority, Lease, ListEvent, RunChange, WriteStamp};
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// A worker journals what its attempt reports: lines, errors, and what becomes of phases. Changes nothing else.
///
/// By the worker. Without frames it only asks whether the lease is still the worker's, and who has requested the run's
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

    /// Of lines. What becomes of phases is urgent: see [`RunWrite::disk_priority`](super::RunWrite::disk_priority).
    fn disk_priority(&self) -> DiskPriority {
        DiskPriority::Deferrable
    }

    fn lease(&self) -> Option<Lease> {
        Some(self.lease)
    }
}
