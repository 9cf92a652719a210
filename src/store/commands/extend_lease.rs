use super::{DiskPriority, Lease, ListEvent, RunChange, WriteStamp};
use crate::model::Timestamp;
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// A worker renews its lease.
///
/// Called by the worker, every third of the lease. The result also includes a cancellation requested
/// through another server. Refused if the lease expired and another server took the run: the worker stops.
#[derive(Clone, Debug)]
pub struct ExtendLease {
    pub lease: Lease,
    /// When the lease expires now.
    pub lease_until: Timestamp,
}

impl RunChange for ExtendLease {
    fn run(&self) -> RunKey {
        self.lease.run
    }

    fn update(&self, stamp: &WriteStamp) -> Statement<'_> {
        statement!(
            "UPDATE runs SET head = head + $frames, clock = $clock, lease_until = $lease_until
             WHERE key = $run AND status = 'running' AND attempt = $attempt AND lease_token = $token
             RETURNING status, attempt, head, lease_token, cancel_by";
            frames: stamp.frames,
            clock: stamp.clock,
            lease_until: self.lease_until,
            run: self.lease.run,
            attempt: self.lease.attempt,
            token: self.lease.token,
        )
    }

    fn list_event(&self, _journal: &JournalHead) -> Option<ListEvent> {
        None
    }

    fn disk_priority(&self) -> DiskPriority {
        DiskPriority::Deferrable
    }

    fn lease(&self) -> Option<Lease> {
        Some(self.lease)
    }
}
