//! Schedules by the name that calls use.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::schedule::handles;
use crate::model::trigger::SchedulePause;
use crate::model::{Pipeline, Problem, ProblemCode, Schedule};
use crate::runs::Backend;
use crate::store::{ScheduleScope, ScheduleState};

/// A schedule with its pipeline.
pub(super) struct NamedSchedule {
    pub pipeline: Arc<Pipeline>,
    pub schedule: Schedule,
    /// Unique in the pipeline.
    pub name: String,
}

impl NamedSchedule {
    /// The schedules of all pipelines.
    pub fn all(backend: &Backend) -> Vec<Self> {
        let snapshot = backend.catalog.snapshot();
        let of_pipeline = |pipeline: &Arc<Pipeline>| {
            let names = handles(&pipeline.schedules);
            let all = pipeline.schedules.iter().cloned().zip(names);
            all.map(|(schedule, name)| Self { pipeline: Arc::clone(pipeline), schedule, name }).collect::<Vec<_>>()
        };
        snapshot.pipelines.values().flat_map(of_pipeline).collect()
    }

    /// The schedule of this name; or the only one with this cron expression.
    ///
    /// # Errors
    /// [`ProblemCode::ScheduleNotFound`].
    pub fn find(backend: &Backend, pipeline: &str, name: &str) -> Result<Self, Problem> {
        let mut all = Self::all(backend);
        all.retain(|named| named.pipeline.name == pipeline);
        if let Some(at) = all.iter().position(|named| named.name == name) {
            return Ok(all.swap_remove(at));
        }
        all.retain(|named| named.schedule.cron == name || named.schedule.identity() == name);
        match (all.pop(), all.is_empty()) {
            (Some(only), true) => Ok(only),
            _ => Err(schedule_not_found(pipeline, name)),
        }
    }

    pub fn scope(&self) -> ScheduleScope {
        ScheduleScope::One(self.pipeline.name.clone(), self.name.clone())
    }

    /// The pause of the schedule, or else that of all schedules.
    pub fn pause(&self, pauses: &BTreeMap<ScheduleScope, SchedulePause>) -> Option<SchedulePause> {
        pauses.get(&self.scope()).or_else(|| pauses.get(&ScheduleScope::All)).cloned()
    }

    pub fn state<'a>(&self, states: &'a BTreeMap<(String, String), ScheduleState>) -> Option<&'a ScheduleState> {
        states.get(&(self.pipeline.name.clone(), self.schedule.identity()))
    }
}

pub(super) fn schedule_not_found(pipeline: &str, name: &str) -> Problem {
    let detail =
        format!("The pipeline `{pipeline}` has no schedule `{name}`. `GET /api/v1/schedules` names all of them.");
    Problem::new(ProblemCode::ScheduleNotFound, detail)
}
