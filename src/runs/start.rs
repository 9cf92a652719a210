//! Starts a run: leaves a pending one, which the engine takes up.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Backend;
use super::queue::{check_priority, create_run};
use crate::access::{Actor, trigger_audit_entry};
use crate::journal::WriteError;
use crate::model::audit::AuditAction;
use crate::model::{ParamInput, Pipeline, Problem, ProblemCode, Run, RunId, RunOrigin, Secrets, Timestamp};
use crate::pipelines::check_params;
use crate::store::{CreateRun, Created, KnownKey, NewFrame, RunKey, RunTrigger, StoredSecrets};

/// The longest `Idempotency-Key`: enough for any UUID, digest or URL.
const MAX_KEY_BYTES: usize = 255;

/// Who or what starts a run.
pub struct Starter<'a> {
    pub origin: RunOrigin,
    /// The first frame of the journal, unless a person or a program starts the run.
    pub frame: Option<NewFrame>,
    /// The delivery that starts the run, recorded with it.
    pub trigger: Option<RunTrigger>,
    /// The person or program that starts the run.
    pub actor: Option<&'a Actor>,
}

/// Starts a run for a person or program. Returns it, and whether it is new: the same key with the same request is the
/// same run.
///
/// # Errors
/// [`ProblemCode::PipelineNotFound`]; [`ProblemCode::InvalidParams`]; [`ProblemCode::IdempotencyConflict`];
/// [`ProblemCode::RunDeleted`] if the run of the key was; [`ProblemCode::BadRequest`] for an invalid key or priority;
/// [`ProblemCode::GroupBusy`]; [`ProblemCode::TooManyQueued`]; the database's errors.
pub async fn start(
    backend: &Backend,
    pipeline: &str,
    input: ParamInput,
    priority: Option<i32>,
    key: Option<&str>,
    actor: &Actor,
) -> Result<(Run, bool), Problem> {
    if key.is_some_and(|key| key.is_empty() || key.len() > MAX_KEY_BYTES || !key.is_ascii()) {
        let detail = format!("An Idempotency-Key is 1 to {MAX_KEY_BYTES} ASCII characters.");
        return Err(Problem::new(ProblemCode::BadRequest, detail));
    }
    let found = backend.pipeline(pipeline);
    let secrets = found.as_ref().map(|found| found.extract_secrets(&input)).unwrap_or_default();
    let idempotency = key.map(|key| (key.to_owned(), digest(pipeline, &input, &secrets, priority)));
    if let Some(run) = find_started(backend, idempotency.as_ref(), &secrets).await? {
        return Ok((run, false));
    }
    let pipeline = found?;
    let priority = priority.map(check_priority).transpose()?;
    let starter = Starter { origin: actor.origin(), frame: None, trigger: None, actor: Some(actor) };
    start_run(backend, pipeline, &input, priority, idempotency, starter).await
}

/// The run that an earlier request with this key and digest started. A repeated request gets it even if the pipeline
/// has changed since. Of two requests at the same moment neither is found here; the transaction that creates the run
/// tells them apart.
///
/// # Errors
/// [`ProblemCode::IdempotencyConflict`] for another request with this key; [`ProblemCode::RunDeleted`]; the database's
/// errors.
pub async fn find_started(
    backend: &Backend,
    idempotency: Option<&(String, Vec<u8>)>,
    secrets: &Secrets,
) -> Result<Option<Run>, Problem> {
    let Some((key, digest)) = idempotency else { return Ok(None) };
    match backend.store.by_idempotency_key(key).await? {
        None => Ok(None),
        Some(known) if known.digest != *digest => Err(WriteError::KeyConflict.into()),
        Some(KnownKey { run: None, .. }) => Err(WriteError::KeyOfDeleted.into()),
        Some(KnownKey { run: Some(run), .. }) if !has_same_secrets(backend, run, secrets).await? => {
            Err(WriteError::KeyConflict.into())
        }
        // It may have been deleted since the key was read.
        Some(KnownKey { run: Some(run), .. }) => {
            Ok(Some(backend.store.run(run).await?.ok_or(WriteError::KeyOfDeleted)?))
        }
    }
}

/// Starts a run of this pipeline, with the pipeline's priority if none is given.
///
/// # Errors
/// [`ProblemCode::InvalidParams`]; [`ProblemCode::GroupBusy`]; [`ProblemCode::TooManyQueued`];
/// [`ProblemCode::IdempotencyConflict`] or [`ProblemCode::RunDeleted`] if another request with the key was faster; the
/// database's errors.
pub async fn start_run(
    backend: &Backend,
    pipeline: Arc<Pipeline>,
    input: &ParamInput,
    priority: Option<i32>,
    idempotency: Option<(String, Vec<u8>)>,
    starter: Starter<'_>,
) -> Result<(Run, bool), Problem> {
    let params = check_params(&pipeline, input, &backend.projects).map_err(Problem::params)?;
    let (priority, at) = (priority.unwrap_or(pipeline.priority), Timestamp::now());
    let secrets = pipeline.extract_secrets(input);
    let (id, max_pending) = (RunId::generate(), Some(backend.max_queued));
    let Starter { origin, frame, trigger, actor } = starter;
    let name = pipeline.name.clone();
    let audit = match actor {
        Some(actor) => actor.audit_entry(AuditAction::RunStart, Some(id.clone()), Some(name)),
        None => trigger_audit_entry(&origin, "hook", id.clone(), &name),
    };
    let new = CreateRun {
        id,
        pipeline,
        params,
        secrets,
        priority,
        at,
        idempotency,
        origin: frame,
        schedule: None,
        trigger,
        max_pending,
        asked_by: Some(origin),
        audit: Some(audit),
    };
    let Created { is_new, run, .. } = create_run(backend, new).await?;
    backend.engine.wake();
    Ok((*run, is_new))
}

/// Whether a run was started with these secrets. True once they were removed, since nothing can be compared then.
async fn has_same_secrets(backend: &Backend, key: RunKey, secrets: &Secrets) -> Result<bool, Problem> {
    let StoredSecrets { values, removed } = backend.store.secrets(key).await?;
    Ok(!removed.is_empty() || values == *secrets)
}

/// A digest of a request. Parameters are sorted, so their order in the request does not matter. Only the names of
/// secrets are part of it: it is stored for a day, and a weak secret could be guessed from it.
fn digest(pipeline: &str, input: &ParamInput, secrets: &Secrets, priority: Option<i32>) -> Vec<u8> {
    let shown = |name: &String, value: &Value| if secrets.get(name).is_some() { Value::Null } else { value.clone() };
    let input: ParamInput = input.iter().map(|(name, value)| (name.clone(), shown(name, value))).collect();
    let mut request = serde_json::json!({ "pipeline": pipeline, "params": input });
    if let Some(priority) = priority {
        request["priority"] = priority.into();
    }
    let mut hasher = Sha256::new();
    hasher.update(request.to_string());
    hasher.finalize().to_vec()
}
