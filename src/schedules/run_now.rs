//! Starts a run of a schedule for a person, whatever its due times.

use super::named::NamedSchedule;
use crate::access::Actor;
use crate::model::audit::AuditAction;
use crate::model::kinds::Origin;
use crate::model::{FramePayload, Problem, Run, RunId, Secrets, Timestamp};
use crate::pipelines::check_params;
use crate::runs::{Backend, create_run};
use crate::store::{CreateRun, Created, NewFrame, RunTrigger, ScheduleSlot};

/// Starts a run of a schedule now, even if the schedule is paused. Returns the run, and whether it is new: a pending
/// run of the schedule is returned instead of a second one, unless the schedule queues all of its runs.
///
/// # Errors
/// [`Code::ScheduleNotFound`]; [`Code::InvalidParams`]; [`Code::GroupBusy`]; [`Code::TooManyQueued`]; the database's
/// errors.
///
/// [`Code::ScheduleNotFound`]: crate::model::Code::ScheduleNotFound
/// [`Code::InvalidParams`]: crate::model::Code::InvalidParams
/// [`Code::GroupBusy`]: crate::model::Code::GroupBusy
/// [`Code::TooManyQueued`]: crate::model::Code::TooManyQueued
pub async fn run_now(backend: &Backend, pipeline: &str, name: &str, actor: &Actor) -> Result<(Run, bool), Problem> {
    let NamedSchedule { pipeline, schedule, name } = NamedSchedule::find(backend, pipeline, name)?;
    let params = check_params(&pipeline, &schedule.params, &backend.projects).map_err(Problem::params)?;
    let slot = ScheduleSlot { schedule: schedule.identity(), name, overlap: schedule.overlap, by_hand: true };
    let origin =
        NewFrame::now(None, &FramePayload::Origin(Origin { by: schedule.describe_manual_origin(&actor.to_string()) }));
    let id = RunId::generate();
    let audit = actor.audit_entry(AuditAction::RunStart, Some(id.clone()), Some(pipeline.name.clone()));
    let new = CreateRun {
        id,
        priority: pipeline.priority,
        pipeline,
        params,
        // A pipeline file contains no secrets.
        secrets: Secrets::new(),
        at: Timestamp::now(),
        idempotency: None,
        origin: Some(origin),
        schedule: None,
        trigger: Some(RunTrigger::Schedule(slot)),
        max_pending: Some(backend.max_queued),
        asked_by: Some(actor.origin()),
        audit: Some(audit),
    };
    let Created { is_new, run, .. } = create_run(backend, new).await?;
    backend.engine.wake();
    Ok((*run, is_new))
}
