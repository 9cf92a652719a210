use super::pause_schedules::ALL_SCHEDULES;
use super::{Guarded, ScheduleScope};
use crate::store::statement::{Statement, statement};

/// A schedule, or all of them, are resumed.
///
/// Called by a person. Never refused: resuming an active schedule changes nothing.
#[derive(Clone, Debug)]
pub struct ResumeSchedules {
    pub scope: ScheduleScope,
    /// All other schedules, by pipeline and name. Where all are paused and one is resumed, these stay paused, one by
    /// one.
    pub others: Vec<(String, String)>,
}

impl Guarded for ResumeSchedules {
    fn statements(&self) -> Vec<Statement<'_>> {
        let ScheduleScope::One(pipeline, name) = &self.scope else {
            return vec![statement!("DELETE FROM schedule_pauses")];
        };
        let keep = self.others.iter().map(|(pipeline, name)| {
            statement!(
                "INSERT INTO schedule_pauses (pipeline, name, paused_at, paused_by, reason)
                 SELECT $pipeline, $name, paused_at, paused_by, reason FROM schedule_pauses
                 WHERE pipeline = $all AND name = $all
                 ON CONFLICT DO NOTHING";
                pipeline: pipeline,
                name: name,
                all: ALL_SCHEDULES,
            )
        });
        let resume = statement!(
            "DELETE FROM schedule_pauses
             WHERE (pipeline = $pipeline AND name = $name) OR (pipeline = $all AND name = $all)";
            pipeline: pipeline,
            name: name,
            all: ALL_SCHEDULES,
        );
        keep.chain(std::iter::once(resume)).collect()
    }

    fn can_be_refused(&self) -> bool {
        false
    }
}
