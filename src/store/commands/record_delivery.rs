use super::{DiskPriority, ListEvent, RunChange, Updated, WriteStamp};
use crate::model::Timestamp;
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// A notification was sent, or could not be: it is due again, or leaves the outbox.
///
/// Called by the notification task that has begun to send it ([`BeginDelivery`](super::BeginDelivery)). Its frame
/// belongs to the attempt that the notification is about, even if the run has another attempt by now. Refused if the
/// lease expired and another server has begun to send it, or the run was deleted.
#[derive(Clone, Debug)]
pub struct RecordDelivery {
    pub run: RunKey,
    /// The delivery's key in the outbox.
    pub delivery: i64,
    /// How often sending it has begun.
    pub token: i64,
    /// The attempt that the notification is about.
    pub attempt: u32,
    /// When it is due again; `None` if this was the last time.
    pub next: Option<Timestamp>,
}

impl RunChange for RecordDelivery {
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
        vec![match self.next {
            Some(next) => statement!(
                "UPDATE deliveries SET tries = tries + 1, due_at = $next WHERE key = $delivery";
                next: next,
                delivery: self.delivery,
            ),
            None => statement!("DELETE FROM deliveries WHERE key = $delivery"; delivery: self.delivery),
        }]
    }

    fn list_event(&self, _journal: &JournalHead) -> Option<ListEvent> {
        None
    }

    fn disk_priority(&self) -> DiskPriority {
        DiskPriority::Deferrable
    }

    fn frame_attempt(&self) -> Option<u32> {
        Some(self.attempt)
    }
}
