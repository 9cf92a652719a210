use super::record_hook_delivery::truncated;
use super::{AdvanceSchedule, DiskPriority, Guarded};
use crate::model::trigger::SkipKind;
use crate::store::statement::{Statement, statement};

/// The longest detail that is stored, in characters.
const MAX_DETAIL_CHARS: usize = 1000;

/// A due time has no run: its schedule's cursor moves all the same, and the reason is stored.
///
/// Called by the schedules' task, and by [`CreateRun`](super::CreateRun) while the schedule is paused, busy or the
/// queue full. Refused as [`AdvanceSchedule`] is.
#[derive(Clone, Debug)]
pub struct SkipDueTime {
    pub cursor: AdvanceSchedule,
    pub kind: SkipKind,
    /// More about the reason.
    pub detail: String,
}

impl Guarded for SkipDueTime {
    fn statements(&self) -> Vec<Statement<'_>> {
        let skipped = statement!(
            "UPDATE schedules SET skipped = skipped + 1, skipped_at = done, skip_kind = $kind, skip_detail = $detail
             WHERE pipeline = $pipeline AND schedule = $schedule";
            kind: self.kind.as_str(),
            detail: truncated(&self.detail, MAX_DETAIL_CHARS),
            pipeline: &self.cursor.pipeline,
            schedule: &self.cursor.schedule,
        );
        vec![self.cursor.statement(), skipped]
    }

    fn disk_priority(&self) -> DiskPriority {
        DiskPriority::New
    }
}
