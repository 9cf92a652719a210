use super::{ListEvent, RunChange, WriteStamp};
use crate::store::statement::{Statement, statement};
use crate::store::{JournalHead, RunKey};

/// A run is pinned, so that retention keeps it, or unpinned. Repeating it changes nothing.
///
/// Called by a person. Refused if the run was deleted.
#[derive(Clone, Debug)]
pub struct PinRun {
    pub run: RunKey,
    pub pinned: bool,
}

impl RunChange for PinRun {
    fn run(&self) -> RunKey {
        self.run
    }

    fn update(&self, stamp: &WriteStamp) -> Statement<'_> {
        statement!(
            "UPDATE runs SET head = head + $frames, clock = $clock,
                pins = pins + CASE WHEN pinned <> $pinned THEN 1 ELSE 0 END, pinned = $pinned
             WHERE key = $run AND deleted_at IS NULL
             RETURNING status, attempt, head, lease_token, cancel_by";
            frames: stamp.frames,
            clock: stamp.clock,
            pinned: self.pinned,
            run: self.run,
        )
    }

    fn list_event(&self, _journal: &JournalHead) -> Option<ListEvent> {
        // Unpinned, it may be for retention to delete.
        Some(ListEvent::BecameFinal)
    }

    fn wants_run_after(&self) -> bool {
        true
    }
}
