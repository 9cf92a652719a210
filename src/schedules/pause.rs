//! Pauses and resumes schedules.

use super::list::{list, view};
use super::named::NamedSchedule;
use crate::access::Actor;
use crate::model::audit::AuditAction;
use crate::model::trigger::{ScheduleList, SchedulePause, ScheduleView};
use crate::model::{Problem, ProblemCode, Timestamp};
use crate::runs::Backend;
use crate::store::{PauseSchedules, ResumeSchedules, ScheduleScope};

/// The longest reason of a pause.
const MAX_REASON_CHARS: usize = 500;

/// Pauses a schedule. Does nothing if it is paused already.
///
/// # Errors
/// [`ProblemCode::ScheduleNotFound`]; [`ProblemCode::BadRequest`] for a reason that is too long; the database's errors.
pub async fn pause(
    backend: &Backend,
    pipeline: &str,
    name: &str,
    actor: &Actor,
    reason: &str,
) -> Result<ScheduleView, Problem> {
    let named = NamedSchedule::find(backend, pipeline, name)?;
    write_pause(backend, named.scope(), actor, reason).await?;
    view(backend, &named).await
}

/// Resumes a schedule. Due times during the pause are skipped. Does nothing if it is not paused.
///
/// # Errors
/// [`ProblemCode::ScheduleNotFound`]; the database's errors.
pub async fn resume(backend: &Backend, pipeline: &str, name: &str, actor: &Actor) -> Result<ScheduleView, Problem> {
    let named = NamedSchedule::find(backend, pipeline, name)?;
    let others = NamedSchedule::all(backend).into_iter().filter(|other| other.scope() != named.scope());
    let others = others.map(|other| (other.pipeline.name.clone(), other.name)).collect();
    let entry = actor.audit_entry(AuditAction::ScheduleResume, None, Some(format!("{pipeline}/{}", named.name)));
    backend.journal.execute(ResumeSchedules { scope: named.scope(), others }, Some(entry)).await?;
    tracing::info!(pipeline, schedule = named.name, by = %actor, "resumed a schedule");
    view(backend, &named).await
}

/// Pauses all schedules, also those that are added later.
///
/// # Errors
/// [`ProblemCode::BadRequest`] for a reason that is too long; the database's errors.
pub async fn pause_all(backend: &Backend, actor: &Actor, reason: &str) -> Result<ScheduleList, Problem> {
    write_pause(backend, ScheduleScope::All, actor, reason).await?;
    list(backend).await
}

/// Resumes all schedules, also those that were paused one by one.
///
/// # Errors
/// The database's errors.
pub async fn resume_all(backend: &Backend, actor: &Actor) -> Result<ScheduleList, Problem> {
    let entry = actor.audit_entry(AuditAction::ScheduleResume, None, Some("all".to_owned()));
    backend.journal.execute(ResumeSchedules { scope: ScheduleScope::All, others: Vec::new() }, Some(entry)).await?;
    tracing::info!(by = %actor, "resumed all schedules");
    list(backend).await
}

async fn write_pause(backend: &Backend, scope: ScheduleScope, actor: &Actor, reason: &str) -> Result<(), Problem> {
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    if reason.chars().count() > MAX_REASON_CHARS {
        let detail = format!("A reason has at most {MAX_REASON_CHARS} characters.");
        return Err(Problem::new(ProblemCode::BadRequest, detail));
    }
    tracing::info!(?scope, by = %actor, reason, "pausing schedules");
    let pause = SchedulePause { at: Timestamp::now(), by: actor.to_string(), reason, all: scope == ScheduleScope::All };
    let detail = match &scope {
        ScheduleScope::All => "all".to_owned(),
        ScheduleScope::One(pipeline, name) => format!("{pipeline}/{name}"),
    };
    let detail = if pause.reason.is_empty() { detail } else { format!("{detail}: {}", pause.reason) };
    let entry = actor.audit_entry(AuditAction::SchedulePause, None, Some(detail));
    Ok(backend.journal.execute(PauseSchedules { scope, pause }, Some(entry)).await?)
}
