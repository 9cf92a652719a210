//! Starting and re-running. Neither carries anything out: both leave a pending run, and the engine does the rest.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::actor::triggered;
use super::queue::check_priority;
use super::{Actor, Service, TRIES, left, no_run, run_id};
use crate::journal::WriteError;
use crate::model::audit::AuditAction;
use crate::model::{
    ParamError, ParamInput, Pipeline, Problem, ProblemCode, Run, RunId, RunOrigin, Secrets, Timestamp, plan,
};
use crate::pipelines::check_params;
use crate::store::{CreateRun, Created, KnownKey, NewFrame, QueueAttempt, RunTrigger, RunWrite};

/// The longest `Idempotency-Key`, in bytes: enough for any UUID, digest or URL.
const MAX_KEY: usize = 255;

/// Where a re-run begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Begin {
    /// With the first phase.
    #[default]
    Start,
    /// With the first phase that has not ended well; what became of those before it is carried over.
    Failed,
}

/// What a re-run is asked for with, besides where it begins.
#[derive(Clone, Default)]
pub struct Asked {
    /// Its parameters; those of the attempt before if `None`.
    pub params: Option<ParamInput>,
    /// Secrets, whatever the parameters are: those of the attempt before were removed when it ended.
    pub secrets: ParamInput,
    /// The attempt that the asker saw end. If another has begun since, the re-run is refused: two presses are one re-run.
    pub seen: Option<u32>,
}

/// Who or what asks for a new run.
pub(super) struct AskedBy<'a> {
    /// As the run keeps it.
    pub origin: RunOrigin,
    /// The journal's first frame, if no person and no program asks.
    pub frame: Option<NewFrame>,
    /// What is kept of the delivery that asks.
    pub trigger: Option<RunTrigger>,
    /// The person or program that asks.
    pub actor: Option<&'a Actor>,
}

impl Service {
    /// Asks for a new run. Returns it, and whether it is new: the same key with the same request is the same run.
    ///
    /// # Errors
    /// [`ProblemCode::PipelineNotFound`], [`ProblemCode::InvalidParams`], [`ProblemCode::IdempotencyConflict`], [`ProblemCode::RunDeleted`] if the key's run
    /// was, [`ProblemCode::BadRequest`] for a key or a priority that is none, [`ProblemCode::GroupBusy`], [`ProblemCode::TooManyQueued`]; the database's own.
    pub async fn start(
        &self,
        pipeline: &str,
        given: ParamInput,
        priority: Option<i32>,
        key: Option<&str>,
        by: &Actor,
    ) -> Result<(Run, bool), Problem> {
        if key.is_some_and(|key| key.is_empty() || key.len() > MAX_KEY || !key.is_ascii()) {
            let detail = format!("An Idempotency-Key is 1 to {MAX_KEY} ASCII characters.");
            return Err(Problem::new(ProblemCode::BadRequest, detail));
        }
        // The digest is kept for a day, and a weak secret could be guessed by it: it is not part of it.
        let found = self.pipeline(pipeline);
        let secrets = found.as_ref().map(|found| found.extract_secrets(&given)).unwrap_or_default();
        let idempotency = key.map(|key| (key.to_owned(), digest(pipeline, &given, &secrets, priority)));
        if let Some(run) = self.known(idempotency.as_ref(), &secrets).await? {
            return Ok((run, false));
        }
        let pipeline = found?;
        let priority = priority.map(check_priority).transpose()?;
        let asked = AskedBy { origin: by.origin(), frame: None, trigger: None, actor: Some(by) };
        self.ask(pipeline, &given, priority, idempotency, asked).await
    }

    /// The run that this key and this digest asked for before, if they have. A request that was carried out before is answered
    /// as before, even if the pipeline has changed since. Two that come at once are told apart later, inside the transaction.
    pub(super) async fn known(
        &self,
        idempotency: Option<&(String, Vec<u8>)>,
        secrets: &Secrets,
    ) -> Result<Option<Run>, Problem> {
        let Some((key, digest)) = idempotency else { return Ok(None) };
        match self.store.by_idempotency_key(key).await? {
            None => Ok(None),
            Some(known) if known.digest != *digest => Err(WriteError::KeyConflict.into()),
            // Deleted before this was asked, or since.
            Some(KnownKey { run: None, .. }) => Err(WriteError::KeyOfDeleted.into()),
            Some(KnownKey { run: Some(run), .. }) if !self.had_secrets(run, secrets).await? => {
                Err(WriteError::KeyConflict.into())
            }
            Some(KnownKey { run: Some(run), .. }) => {
                Ok(Some(self.store.run(run).await?.ok_or(WriteError::KeyOfDeleted)?))
            }
        }
    }

    /// Asks for a new run of this pipeline, if what is given fits it: with its own priority if none is given.
    pub(super) async fn ask(
        &self,
        pipeline: Arc<Pipeline>,
        given: &ParamInput,
        priority: Option<i32>,
        idempotency: Option<(String, Vec<u8>)>,
        asked: AskedBy<'_>,
    ) -> Result<(Run, bool), Problem> {
        let params = check_params(&pipeline, given, &self.projects).map_err(Problem::params)?;
        let (priority, at) = (priority.unwrap_or(pipeline.priority), Timestamp::now());
        let secrets = pipeline.extract_secrets(given);
        let (id, max_pending) = (RunId::generate(), Some(self.max_queued));
        let AskedBy { origin, frame, trigger, actor } = asked;
        let name = pipeline.name.clone();
        let audit = match actor {
            Some(actor) => actor.note(AuditAction::RunStart, Some(id.clone()), Some(name)),
            None => triggered(&origin, "hook", id.clone(), &name),
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
        let Created { is_new, run, .. } = self.create(new).await?;
        self.engine.wake();
        Ok((*run, is_new))
    }

    /// Asks for a new attempt of a finished run, with the pipeline as it stands now. Its journal continues.
    ///
    /// # Errors
    /// [`ProblemCode::RunNotFound`], [`ProblemCode::RunActive`], [`ProblemCode::PipelineNotFound`], [`ProblemCode::InvalidParams`], also if a secret of the attempt
    /// before is not given again, [`ProblemCode::GroupBusy`], [`ProblemCode::TooManyQueued`]; the database's own.
    pub async fn rerun(&self, id: &str, from: Begin, asked: Asked, by: &Actor) -> Result<Run, Problem> {
        let audit = by.note(AuditAction::RunRerun, Some(run_id(id)?), None);
        for _ in 0..TRIES {
            let (key, pulse) = self.find(id).await?;
            if pulse.status.is_active() {
                let detail = format!("The run is {}. Wait for its end, or cancel it first.", pulse.status);
                return Err(Problem::new(ProblemCode::RunActive, detail));
            }
            if asked.seen.is_some_and(|seen| seen != pulse.attempt) {
                let detail = format!("The run was re-run already; it is at attempt {}.", pulse.attempt);
                return Err(Problem::new(ProblemCode::RunActive, detail));
            }
            let run = self.store.run(key).await?.ok_or_else(|| no_run(id))?;
            if run.attempt != pulse.attempt {
                continue;
            }
            let pipeline = self.pipeline(&run.pipeline)?;
            let again = self.given_again(key, &run, &pipeline, &asked).await?;
            let params = check_params(&pipeline, &again.given, &self.projects);
            let params = again.refuse(params).map_err(|errors| {
                let told = asked.params.is_none().then(|| sentences(&errors));
                let problem = Problem::params(errors);
                // Where nothing was filled in there is no field to say it at.
                Problem { detail: told.unwrap_or_else(|| problem.detail.clone()), ..problem }
            })?;
            self.check_group(pipeline.group(&params)).await?;
            let first = match from {
                Begin::Start => 0,
                Begin::Failed => plan::first_unfinished(&run.phases, run.status, &pipeline),
            };
            if first > 0 && first >= pipeline.phases.len() {
                let detail = "Every phase has ended well: there is none to go on with. Run it again from the start.";
                return Err(Problem::new(ProblemCode::NothingFailed, detail));
            }
            let reason = match pipeline.phases.get(first).filter(|_| first > 0) {
                Some(phase) => format!("re-run from phase {} by {by}", phase.name),
                None => format!("re-run by {by}"),
            };
            // Someone else may have been faster; then look again what there is to do.
            let queue = QueueAttempt {
                run: key,
                status: run.status,
                attempt: run.attempt,
                pipeline: Arc::clone(&pipeline),
                params,
                from_phase: first,
                resumes: None,
                secrets: pipeline.extract_secrets(&again.given),
                asked_by: Some(by.origin()),
            };
            let Some(queue) = queue.write(&run, reason) else { continue };
            self.check_queue().await?;
            let queue = RunWrite { audit: Some(Box::new(audit.clone())), ..queue };
            match self.journal.write(queue).await {
                // Someone else was faster; look again what there is to do.
                Err(WriteError::Refused) => continue,
                Err(error) => return Err(error.into()),
                Ok(committed) => {
                    self.engine.wake();
                    return left(committed, id);
                }
            }
        }
        Err(WriteError::Refused.into())
    }
}

/// What is wrong with each parameter.
fn sentences(errors: &[ParamError]) -> String {
    errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join(" ")
}

/// What was asked for, in few bytes. The order of the parameters does not matter: they are kept sorted. Of secrets only their names count.
fn digest(pipeline: &str, given: &ParamInput, secrets: &Secrets, priority: Option<i32>) -> Vec<u8> {
    let shown = |name: &String, value: &Value| if secrets.get(name).is_some() { Value::Null } else { value.clone() };
    let given: ParamInput = given.iter().map(|(name, value)| (name.clone(), shown(name, value))).collect();
    let mut asked = serde_json::json!({ "pipeline": pipeline, "params": given });
    if let Some(priority) = priority {
        asked["priority"] = priority.into();
    }
    let mut hasher = Sha256::new();
    hasher.update(asked.to_string());
    hasher.finalize().to_vec()
}
