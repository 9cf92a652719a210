use super::{DiskPriority, Guarded};
use crate::model::Timestamp;
use crate::store::statement::{Statement, statement};

/// A schedule's cursor moves: due times up to it are done.
///
/// Called by the schedules' task; with a run in [`CreateRun`](super::CreateRun). Refused if the cursor is not where it
/// was read: so a due time has one run, however many servers check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdvanceSchedule {
    pub pipeline: String,
    /// The schedule's identity within its pipeline.
    pub schedule: String,
    /// Where the cursor is; `None` if the schedule has none yet.
    pub from: Option<Timestamp>,
    /// Where it moves to; `None` to forget the schedule.
    pub to: Option<Timestamp>,
}

impl AdvanceSchedule {
    /// Changes one row, or none if it is refused.
    pub(super) fn statement(&self) -> Statement<'_> {
        let Self { pipeline, schedule, from, to } = self;
        match (*from, *to) {
            (None, Some(to)) => statement!(
                "INSERT INTO schedules (pipeline, schedule, done) VALUES ($pipeline, $schedule, $to)
                 ON CONFLICT DO NOTHING";
                pipeline: pipeline,
                schedule: schedule,
                to: to,
            ),
            (Some(from), Some(to)) => statement!(
                "UPDATE schedules SET done = $to WHERE pipeline = $pipeline AND schedule = $schedule AND done = $from";
                to: to,
                pipeline: pipeline,
                schedule: schedule,
                from: from,
            ),
            // Without a cursor there is nothing to forget: no row is like this, so it is refused.
            (from, None) => statement!(
                "DELETE FROM schedules WHERE pipeline = $pipeline AND schedule = $schedule AND done = $from";
                pipeline: pipeline,
                schedule: schedule,
                from: from,
            ),
        }
    }
}

impl Guarded for AdvanceSchedule {
    fn statements(&self) -> Vec<Statement<'_>> {
        vec![self.statement()]
    }

    fn disk_priority(&self) -> DiskPriority {
        DiskPriority::New
    }
}
