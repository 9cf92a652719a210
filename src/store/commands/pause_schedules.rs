use super::Guarded;
use crate::model::trigger::SchedulePause;
use crate::store::statement::{Statement, statement};

/// The pipeline and the name in the row of a pause of all schedules. No pipeline has this name.
pub(in crate::store) const ALL_SCHEDULES: &str = "*";

/// Which schedules are paused or resumed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScheduleScope {
    /// All of them, also those that are added later.
    All,
    /// The one of this pipeline with this name.
    One(String, String),
}

impl ScheduleScope {
    /// The columns `pipeline` and `name`.
    pub(super) fn columns(&self) -> (&str, &str) {
        match self {
            Self::All => (ALL_SCHEDULES, ALL_SCHEDULES),
            Self::One(pipeline, name) => (pipeline, name),
        }
    }
}

/// A schedule, or all of them, are paused.
///
/// Called by a person. Never refused: a pause that is there already stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseSchedules {
    pub scope: ScheduleScope,
    /// Since when, by whom and why.
    pub pause: SchedulePause,
}

impl Guarded for PauseSchedules {
    fn statements(&self) -> Vec<Statement<'_>> {
        let (pipeline, name) = self.scope.columns();
        vec![statement!(
            "INSERT INTO schedule_pauses (pipeline, name, paused_at, paused_by, reason)
             VALUES ($pipeline, $name, $at, $by, $reason)
             ON CONFLICT DO NOTHING";
            pipeline: pipeline,
            name: name,
            at: self.pause.at,
            by: &self.pause.by,
            reason: &self.pause.reason,
        )]
    }

    fn can_be_refused(&self) -> bool {
        false
    }
}
