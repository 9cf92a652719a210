use super::{ListEvent, RunChange, Updated, WriteStamp};
use crate::model::{RunId, Status};
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// Deletes a finished run: reads no longer find it. Its row stays as a tombstone until
/// [`PurgeStep`](super::PurgeStep) has removed its data.
///
/// Called by a person, or by retention. Refused if the run was pinned, run again or deleted since it was read.
#[derive(Clone, Debug)]
pub struct DeleteRun {
    pub run: RunKey,
    pub id: RunId,
    /// The status and the attempt of the run as it is.
    pub status: Status,
    pub attempt: u32,
}

impl RunChange for DeleteRun {
    fn run(&self) -> RunKey {
        self.run
    }

    fn update(&self, stamp: &WriteStamp) -> Statement<'_> {
        statement!(
            "UPDATE runs SET head = head + $frames, clock = $clock, deleted_at = $at
             WHERE key = $run AND status = $status AND attempt = $attempt AND deleted_at IS NULL
                AND status NOT IN ('pending', 'running') AND pinned = 0
             RETURNING status, attempt, head, lease_token, cancel_by";
            frames: stamp.frames,
            clock: stamp.clock,
            at: stamp.at,
            run: self.run,
            status: self.status,
            attempt: self.attempt,
        )
    }

    fn follow_ups(&self, _updated: &Updated) -> Vec<Statement<'_>> {
        // Pending notifications of a deleted run are dropped.
        vec![statement!("DELETE FROM deliveries WHERE run = $run"; run: self.run)]
    }

    fn list_event(&self, _journal: &JournalHead) -> Option<ListEvent> {
        Some(ListEvent::Deleted(self.id.clone()))
    }

    fn is_timed(&self) -> bool {
        true
    }
}
