//! Handles a delivery whose sender was verified: starts its run, or says why it starts none.

use std::sync::Arc;

use super::delivery_list::{new_delivery, record_delivery};
use super::{DeliveryHeaders, KeyBy, condition};
use crate::model::kinds::Origin;
use crate::model::trigger::DeliveryResult;
use crate::model::{FramePayload, Hook, OriginKind, Pipeline, Problem, ProblemCode, Run, RunOrigin, Secrets, Status};
use crate::pipelines::check_params;
use crate::runs::{Backend, Starter, find_started, start_run};
use crate::store::{NewFrame, RecordHookDelivery, RunTrigger};

/// The outcome of a delivery.
pub enum HookOutcome {
    /// It starts no run, for this reason.
    Ignored(String),
    /// The run, and whether it is new: a repeated delivery gets the run of the first one.
    Run(Box<Run>, bool),
}

/// What a repeated delivery is told: the state of its run, and how to run it again.
pub fn duplicate_message(run: &Run) -> String {
    let state = match run.status {
        Status::Pending => "is queued",
        Status::Running => "is running",
        Status::Completed => "has completed",
        Status::Failed => "has failed",
        Status::Cancelled => "was cancelled",
        Status::Interrupted => "was interrupted",
    };
    let before = format!("An earlier delivery with this body started a run, which {state}.");
    if run.status.is_active() {
        return before;
    }
    format!(
        "{before} The same body does not start a second run within a day. To run it again, use \"Re-run\" on its page, or POST \
         /api/v1/runs/{}/rerun. If bodies of this sender have nothing unique, set `repeat = true` in [hook].",
        run.id
    )
}

/// Why a delivery was refused, with the names of the parameters.
fn refusal_reason(problem: &Problem) -> String {
    if problem.errors.is_empty() {
        return problem.detail.clone();
    }
    let errors = problem.errors.iter().map(|error| format!("`{}`: {}", error.param, error.message));
    format!("{}. {}", problem.title, errors.collect::<Vec<_>>().join(" "))
}

/// Starts the run of a delivery with this body, and records the delivery in the list. `payload` parses the body and is
/// called only if the payload is needed. `key_by` says what two deliveries have in common that are the same one.
///
/// # Errors
/// Those of `payload`; [`ProblemCode::InvalidParams`]; [`ProblemCode::GroupBusy`]; [`ProblemCode::TooManyQueued`];
/// [`ProblemCode::RunDeleted`] if the run of the first delivery was; the database's errors.
pub async fn handle_delivery(
    backend: &Backend,
    pipeline: Arc<Pipeline>,
    hook: &Hook,
    delivery: &DeliveryHeaders,
    (body, key_by): (&[u8], KeyBy),
    payload: impl FnOnce() -> Result<serde_json::Value, Problem>,
) -> Result<HookOutcome, Problem> {
    let name = pipeline.name.clone();
    let key = delivery.key(&name, body, if hook.repeat { KeyBy::Id } else { key_by });
    let outcome = start_for_delivery(backend, pipeline, hook, delivery, key, payload).await;
    let entry =
        |result, reason: String| RecordHookDelivery { result, reason: Some(reason), ..new_delivery(&name, delivery) };
    let entry = match &outcome {
        // Recorded in the transaction that created the run.
        Ok(HookOutcome::Run(_, true)) => None,
        Ok(HookOutcome::Run(run, false)) => Some(RecordHookDelivery {
            run: Some(run.id.clone()),
            ..entry(DeliveryResult::Duplicate, duplicate_message(run))
        }),
        Ok(HookOutcome::Ignored(why)) => Some(entry(DeliveryResult::Ignored, why.clone())),
        // The entry could not be written either.
        Err(problem)
            if matches!(
                problem.code,
                ProblemCode::DatabaseUnavailable | ProblemCode::ShuttingDown | ProblemCode::Internal
            ) =>
        {
            None
        }
        Err(problem) => {
            let code = serde_json::to_value(problem.code).ok();
            let code = code.and_then(|code| code.as_str().map(str::to_owned));
            Some(RecordHookDelivery { code, ..entry(DeliveryResult::Refused, refusal_reason(problem)) })
        }
    };
    if let Some(entry) = entry {
        record_delivery(backend, entry).await;
    }
    outcome
}

async fn start_for_delivery(
    backend: &Backend,
    pipeline: Arc<Pipeline>,
    hook: &Hook,
    delivery: &DeliveryHeaders,
    key: Option<(String, Vec<u8>)>,
    payload: impl FnOnce() -> Result<serde_json::Value, Problem>,
) -> Result<HookOutcome, Problem> {
    if let Some(why) = hook.ignore_reason(delivery.event.as_deref()) {
        return Ok(HookOutcome::Ignored(why));
    }
    if let Some(run) = find_started(backend, key.as_ref(), &Secrets::new()).await? {
        return Ok(HookOutcome::Run(Box::new(run), false));
    }
    let payload = payload()?;
    if let Some(why) = condition::unmet(&hook.conditions, &payload) {
        return Ok(HookOutcome::Ignored(why));
    }
    let origin = RunOrigin { kind: OriginKind::Hook, name: delivery.asks() };
    let frame = Some(NewFrame::now(None, &FramePayload::Origin(Origin { by: origin.name.clone() })));
    let (input, invalid) = pipeline.convert(hook.param_input(&payload));
    if !invalid.is_empty() {
        // All errors: of a value that could not be converted only the conversion's own.
        let mut errors = check_params(&pipeline, &input, &backend.projects).err().unwrap_or_default();
        errors.retain(|error| invalid.iter().all(|other| other.param != error.param));
        errors.extend(invalid);
        errors.sort_by(|one, other| one.param.cmp(&other.param));
        return Err(Problem::params(errors));
    }
    let trigger = Some(RunTrigger::Hook(new_delivery(&pipeline.name, delivery)));
    let starter = Starter { origin, frame, trigger, actor: None };
    let (run, is_new) = start_run(backend, pipeline, &input, None, key, starter).await?;
    Ok(HookOutcome::Run(Box::new(run), is_new))
}
