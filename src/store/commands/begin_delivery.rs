use super::{DiskPriority, ListEvent, RunChange, Updated, WriteStamp};
use crate::model::Timestamp;
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// Leases a notification to the server that sends it.
///
/// Called by the notification task, for each delivery that is due. Refused if another server has begun to send it, or
/// the run was deleted.
#[derive(Clone, Debug)]
pub struct BeginDelivery {
    pub run: RunKey,
    /// The delivery's key in the outbox.
    pub delivery: i64,
    /// How often sending it has begun before.
    pub token: i64,
    /// When the lease expires and the delivery is due again.
    pub lease_until: Timestamp,
}

impl RunChange for BeginDelivery {
    fn run(&self) -> RunKey {
        self.run
    }

    fn update(&self, stamp: &WriteStamp) -> Statement<'_> {
        statement!(
            "UPDATE runs SET head = head + $frames, clock = $clock
             WHERE key = $run AND deleted_at IS NULL AND EXISTS (SELECT 1 FROM deliveries
                WHERE deliveries.run = runs.key AND deliveries.key = $delivery AND token = $token)
             RETURNING status, attempt, head, lease_token, cancel_by";
            frames: stamp.frames,
            clock: stamp.clock,
            run: self.run,
            delivery: self.delivery,
            token: self.token,
        )
    }

    fn follow_ups(&self, _updated: &Updated) -> Vec<Statement<'_>> {
        vec![statement!(
            "UPDATE deliveries SET token = token + 1, due_at = $lease_until WHERE key = $delivery";
            lease_until: self.lease_until,
            delivery: self.delivery,
        )]
    }

    fn list_event(&self, _journal: &JournalHead) -> Option<ListEvent> {
        None
    }

    fn disk_priority(&self) -> DiskPriority {
        DiskPriority::Deferrable
    }
}
