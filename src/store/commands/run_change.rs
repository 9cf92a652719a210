//! The trait of changes of one run.

use super::{DiskPriority, ListEvent};
use crate::model::Timestamp;
use crate::model::notify::NotifyEvent;
use crate::store::statement::Statement;
use crate::store::{JournalHead, RunKey};

/// A worker's claim on an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub run: RunKey,
    pub attempt: u32,
    /// Increases with each claim of the run, so that writes of earlier workers are refused.
    pub token: i64,
}

/// The values that the guarded `UPDATE` of every write sets.
#[derive(Clone, Copy, Debug)]
pub struct WriteStamp {
    /// The number of frames that the write adds to `head`.
    pub frames: usize,
    /// When the write happens.
    pub at: Timestamp,
    /// The latest time of the run with this write: no later write has an earlier one.
    pub clock: Timestamp,
}

/// The run as its guarded `UPDATE` leaves it.
#[derive(Clone, Copy, Debug)]
pub struct Updated {
    pub journal: JournalHead,
    /// The seq of the write's first frame; of the next frame, if it has none.
    pub first_seq: u64,
    pub at: Timestamp,
}

/// A change of one run, made together with the frames of its [`RunWrite`].
pub trait RunChange: Send + Sync {
    fn run(&self) -> RunKey;

    /// The guarded `UPDATE` of the run's row. It yields `status`, `attempt`, `head`, `lease_token` and `cancel_by`; no
    /// row means that the precondition does not hold, and refuses the write.
    fn update(&self, stamp: &WriteStamp) -> Statement<'_>;

    /// Further statements after an accepted `UPDATE`, in order.
    fn follow_ups(&self, _updated: &Updated) -> Vec<Statement<'_>> {
        Vec::new()
    }

    /// Its event in the run list. `journal` includes the whole write.
    fn list_event(&self, journal: &JournalHead) -> Option<ListEvent>;

    fn disk_priority(&self) -> DiskPriority {
        DiskPriority::Urgent
    }

    /// Whether the time of the write itself is stored in the run's row, beside those of its frames.
    fn is_timed(&self) -> bool {
        false
    }

    /// Whether a person or a program waits for the run as this write leaves it: see [`Committed::run_after`].
    fn wants_run_after(&self) -> bool {
        false
    }

    /// The lease that it is made under, if it is its precondition.
    fn lease(&self) -> Option<Lease> {
        None
    }

    /// Whether no worker has the run afterwards: it has ended, or waits for a person.
    fn releases_worker(&self) -> bool {
        false
    }

    /// Whether the run's secrets are removed, unless the run resumes automatically.
    fn ends_attempt(&self) -> bool {
        false
    }

    /// The event that the pipeline's receivers are notified of.
    fn notifies(&self) -> Option<NotifyEvent> {
        None
    }

    /// The attempt that the frames belong to, if it need not be the run's current one.
    fn frame_attempt(&self) -> Option<u32> {
        None
    }

    /// The texts of the change that may contain secrets, to be masked.
    fn texts_mut(&mut self) -> Vec<&mut String> {
        Vec::new()
    }
}
