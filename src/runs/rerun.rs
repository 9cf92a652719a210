//! Re-runs a finished run: adds a pending attempt, which the engine takes up.

use std::sync::Arc;

use super::queue::{check_group, check_queue};
use super::{Backend, ChangeError, committed_run, retry_on_conflict, run_id, run_not_found};
use crate::access::Actor;
use crate::model::audit::AuditAction;
use crate::model::{Param, ParamError, ParamInput, Params, Pipeline, Problem, ProblemCode, Run, plan};
use crate::pipelines::check_params;
use crate::store::{NewAudit, QueueAttempt, RunKey, RunWrite, StoredSecrets};

/// Where a re-run begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RerunFrom {
    /// With the first phase.
    #[default]
    Start,
    /// With the first phase that did not succeed. The results of the phases before it are carried over.
    Failed,
}

/// What a re-run uses besides the pipeline.
#[derive(Clone, Default)]
pub struct RerunRequest {
    /// Its parameters; those of the last attempt if `None`.
    pub params: Option<ParamInput>,
    /// Secrets, whatever the parameters are: those of the last attempt were removed when the run ended.
    pub secrets: ParamInput,
    /// The last attempt that the caller knows. The re-run is refused if there is a newer one, so two clicks are one
    /// re-run.
    pub expected_attempt: Option<u32>,
}

/// Adds an attempt to a finished run, with the pipeline as its file is now. The journal continues.
///
/// # Errors
/// [`ProblemCode::RunNotFound`] for an unknown or deleted run; [`ProblemCode::RunActive`];
/// [`ProblemCode::PipelineNotFound`]; [`ProblemCode::InvalidParams`], also if a secret of the last attempt is not given
/// again; [`ProblemCode::NothingFailed`]; [`ProblemCode::GroupBusy`]; [`ProblemCode::TooManyQueued`]; the database's
/// errors.
pub async fn rerun(
    backend: &Backend,
    id: &str,
    from: RerunFrom,
    request: RerunRequest,
    actor: &Actor,
) -> Result<Run, Problem> {
    let audit = actor.audit_entry(AuditAction::RunRerun, Some(run_id(id)?), None);
    retry_on_conflict(|| rerun_once(backend, id, from, &request, actor, &audit)).await
}

async fn rerun_once(
    backend: &Backend,
    id: &str,
    from: RerunFrom,
    request: &RerunRequest,
    actor: &Actor,
    audit: &NewAudit,
) -> Result<Run, ChangeError> {
    let (key, run) = finished_run(backend, id, request.expected_attempt).await?;
    let pipeline = backend.pipeline(&run.pipeline)?;
    let input = RerunInput::read(backend, key, &run, &pipeline, request).await?;
    let params = input.check(backend, &pipeline).map_err(|errors| {
        let detail = request.params.is_none().then(|| join_messages(&errors));
        let problem = Problem::params(errors);
        // Without a form there is no field to show a message at.
        Problem { detail: detail.unwrap_or_else(|| problem.detail.clone()), ..problem }
    })?;
    check_group(backend, pipeline.group(&params)).await?;
    let first = first_phase(from, &run, &pipeline)?;
    let reason = match pipeline.phases.get(first).filter(|_| first > 0) {
        Some(phase) => format!("re-run from phase {} by {actor}", phase.name),
        None => format!("re-run by {actor}"),
    };
    let queue = QueueAttempt {
        run: key,
        status: run.status,
        attempt: run.attempt,
        pipeline: Arc::clone(&pipeline),
        params,
        from_phase: first,
        resumes: None,
        secrets: pipeline.extract_secrets(&input.values),
        asked_by: Some(actor.origin()),
    };
    let Some(queue) = queue.write(&run, reason) else { return Err(ChangeError::Conflict) };
    check_queue(backend).await?;
    let queue = RunWrite { audit: Some(Box::new(audit.clone())), ..queue };
    let committed = backend.journal.write(queue).await?;
    backend.engine.wake();
    Ok(committed_run(committed, id)?)
}

/// A run that is finished, in the attempt that the caller knows.
async fn finished_run(
    backend: &Backend,
    id: &str,
    expected_attempt: Option<u32>,
) -> Result<(RunKey, Run), ChangeError> {
    let (key, head) = backend.find(id).await?;
    if head.status.is_active() {
        let detail = format!("The run is {}. Wait until it finishes, or cancel it first.", head.status);
        return Err(Problem::new(ProblemCode::RunActive, detail).into());
    }
    if expected_attempt.is_some_and(|expected| expected != head.attempt) {
        let detail = format!("The run was already re-run; it is at attempt {}.", head.attempt);
        return Err(Problem::new(ProblemCode::RunActive, detail).into());
    }
    let run = backend.store.run(key).await?.ok_or_else(|| run_not_found(id))?;
    if run.attempt == head.attempt { Ok((key, run)) } else { Err(ChangeError::Conflict) }
}

/// The index of the phase that a re-run begins with.
fn first_phase(from: RerunFrom, run: &Run, pipeline: &Pipeline) -> Result<usize, Problem> {
    let first = match from {
        RerunFrom::Start => 0,
        RerunFrom::Failed => plan::first_unfinished(&run.phases, run.status, pipeline),
    };
    if first > 0 && first >= pipeline.phases.len() {
        let detail = "Every phase completed, so there is none to resume from. Re-run it from the beginning.";
        return Err(Problem::new(ProblemCode::NothingFailed, detail));
    }
    Ok(first)
}

fn join_messages(errors: &[ParamError]) -> String {
    errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join(" ")
}

/// The values of a re-run, and what is wrong with its secrets.
struct RerunInput {
    /// Parameters and secrets.
    values: ParamInput,
    secret_errors: Vec<ParamError>,
}

impl RerunInput {
    /// The values of the request, or else those of the last attempt, with the secrets of the request.
    async fn read(
        backend: &Backend,
        key: RunKey,
        run: &Run,
        pipeline: &Pipeline,
        request: &RerunRequest,
    ) -> Result<Self, Problem> {
        let mut values = request.params.clone().unwrap_or_else(|| {
            let value = |value| serde_json::to_value(value).unwrap_or_default();
            run.params.iter().map(|(name, param)| (name.clone(), value(param))).collect()
        });
        values.extend(request.secrets.clone());
        let unknown = request.secrets.keys().filter(|name| !pipeline.is_secret(name));
        let mut secret_errors: Vec<ParamError> = unknown
            .map(|name| {
                ParamError::new(name, "unknown", format!("The pipeline {} has no secret `{name}`.", pipeline.name))
            })
            .collect();
        let StoredSecrets { removed, .. } = backend.store.secrets(key).await?;
        let is_missing = |param: &&Param| {
            let had_one = request.params.is_none() && removed.contains(&param.name);
            pipeline.is_secret(&param.name) && !values.contains_key(&param.name) && (param.required || had_one)
        };
        secret_errors.extend(pipeline.params.iter().filter(is_missing).map(|param| {
            let message = format!(
                "{} is a secret, and secrets are removed when a run ends. Enter it again in “Re-run with changes”, or send it as `secrets` of the request.",
                param.label()
            );
            ParamError::new(&param.name, "missing", message)
        }));
        Ok(Self { values, secret_errors })
    }

    /// The checked parameters.
    ///
    /// # Errors
    /// One error per parameter. That of a missing secret replaces the general one, since it gives the reason.
    fn check(&self, backend: &Backend, pipeline: &Pipeline) -> Result<Params, Vec<ParamError>> {
        let (params, mut errors) = match check_params(pipeline, &self.values, &backend.projects) {
            Ok(params) => (Some(params), Vec::new()),
            Err(errors) => (None, errors),
        };
        errors.retain(|error| !self.secret_errors.iter().any(|other| other.param == error.param));
        errors.extend(self.secret_errors.iter().cloned());
        params.filter(|_| errors.is_empty()).ok_or(errors)
    }
}
