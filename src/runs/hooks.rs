//! Hooks: a forge asks for a run. Whether it is the forge is known before this is called.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Service;
use super::schedules::fault;
use super::start::AskedBy;
use crate::hooks::{BadSecret, Delivery, KeyBy, Secret, condition};
use crate::model::kinds::Origin;
use crate::model::trigger::DeliveryResult;
use crate::model::{
    FramePayload, Hook, OriginKind, Pipeline, PipelineFileError, Problem, ProblemCode, Run, RunOrigin, Secrets, Status,
    Timestamp,
};
use crate::pipelines::check_params;
use crate::store::{NewFrame, RecordHookDelivery, RunTrigger, SenderTrust};

/// What became of a delivery.
pub enum HookAnswer {
    /// It starts nothing, for this reason.
    Ignored(String),
    /// A run, and whether it is new: a delivery that comes again is the same run.
    Run(Box<Run>, bool),
}

/// A delivery that starts a run, as it is written down.
fn new_delivery(pipeline: &str, delivery: &Delivery) -> RecordHookDelivery {
    RecordHookDelivery {
        at: Timestamp::now(),
        calls: 1,
        trust: SenderTrust::Signed,
        pipeline: pipeline.to_owned(),
        forge: delivery.forge.to_owned(),
        event: delivery.event.clone(),
        delivery: delivery.id.clone(),
        result: DeliveryResult::Started,
        code: None,
        reason: None,
        run: None,
    }
}

/// What is said of a delivery that came before: what became of its run, and how to run it again.
pub fn told_again(run: &Run) -> String {
    let became = match run.status {
        Status::Pending => "waits",
        Status::Running => "is running",
        Status::Completed => "has completed",
        Status::Failed => "has failed",
        Status::Cancelled => "was cancelled",
        Status::Interrupted => "was interrupted",
    };
    let before = format!("A delivery with this body came before, and its run {became}.");
    if run.status.is_active() {
        return before;
    }
    format!(
        "{before} The same body starts no second run within a day. To run it again, use \"Run again\" on its page, or POST \
         /api/v1/runs/{}/rerun. If bodies of this sender have nothing unique, say `repeat = true` in [hook].",
        run.id
    )
}

/// Why a delivery was refused, with the parameters by name.
fn why_refused(problem: &Problem) -> String {
    if problem.errors.is_empty() {
        return problem.detail.clone();
    }
    let errors = problem.errors.iter().map(|error| format!("`{}`: {}", error.param, error.message));
    format!("{}. {}", problem.title, errors.collect::<Vec<_>>().join(" "))
}

impl Service {
    /// The pipeline of this name, its hook, and the secret that is to be known. Whether there is no such pipeline or just no
    /// hook is not told.
    ///
    /// # Errors
    /// [`ProblemCode::HookNotFound`], [`ProblemCode::HookSecretMissing`].
    pub fn hook(&self, name: &str) -> Result<(Arc<Pipeline>, Hook, Secret), Problem> {
        let found = self.catalog.get(name).and_then(|pipeline| Some((pipeline.hook.clone()?, pipeline)));
        let (hook, pipeline) =
            found.ok_or_else(|| Problem::new(ProblemCode::HookNotFound, format!("There is no hook `{name}`.")))?;
        let secret = self.hook_secret(&hook).map_err(|error| {
            tracing::error!(pipeline = name, %error, "a hook was called");
            // Where it should be is the operator's affair: the first page says it.
            Problem::new(
                ProblemCode::HookSecretMissing,
                "The server cannot use the hook's secret; its first page says why.",
            )
        })?;
        Ok((pipeline, hook, secret))
    }

    /// The secret of a hook. A short one is enough only where no other machine can guess at it.
    fn hook_secret(&self, hook: &Hook) -> Result<Secret, BadSecret> {
        if self.is_exposed { Secret::read_strong(&hook.secret) } else { Secret::read(&hook.secret) }
    }

    /// Warns of secrets that can be guessed, whenever the pipelines change.
    pub async fn watch_secrets(self, stop: CancellationToken) {
        let mut changes = self.catalog.subscribe();
        loop {
            let snapshot = changes.borrow_and_update().clone();
            for (name, pipeline) in &snapshot.pipelines {
                let Some(hook) = &pipeline.hook else { continue };
                if let Err(error @ BadSecret::Short(_)) = Secret::read_strong(&hook.secret) {
                    tracing::warn!(pipeline = name, %error, "the secret of a hook is weak");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Asks for the run of a delivery with this body, which `payload` reads if it is needed. A delivery that came before is known by
    /// the second part of the pair.
    ///
    /// # Errors
    /// What `payload` says; [`ProblemCode::InvalidParams`]; the database's own.
    pub async fn deliver(
        &self,
        pipeline: Arc<Pipeline>,
        hook: &Hook,
        delivery: &Delivery,
        (body, key_by): (&[u8], KeyBy),
        payload: impl FnOnce() -> Result<serde_json::Value, Problem>,
    ) -> Result<HookAnswer, Problem> {
        let name = pipeline.name.clone();
        let key = delivery.key(&name, body, if hook.repeat { KeyBy::Id } else { key_by });
        let answer = self.answer_delivery(pipeline, hook, delivery, key, payload).await;
        let told = |result, reason: String| RecordHookDelivery {
            result,
            reason: Some(reason),
            ..new_delivery(&name, delivery)
        };
        let told = match &answer {
            // Written down with the run.
            Ok(HookAnswer::Run(_, true)) => None,
            Ok(HookAnswer::Run(run, false)) => Some(RecordHookDelivery {
                run: Some(run.id.clone()),
                ..told(DeliveryResult::Duplicate, told_again(run))
            }),
            Ok(HookAnswer::Ignored(why)) => Some(told(DeliveryResult::Ignored, why.clone())),
            // Nor would this be written.
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
                Some(RecordHookDelivery { code, ..told(DeliveryResult::Refused, why_refused(problem)) })
            }
        };
        if let Some(told) = told {
            self.note_delivery(told).await;
        }
        answer
    }

    /// Writes a delivery down. Who sent it has its answer all the same if that fails.
    pub async fn note_delivery(&self, delivery: RecordHookDelivery) {
        if let Err(error) = self.journal.record_hook_delivery(delivery).await {
            tracing::warn!(%error, "a delivery of a hook is missing in the list");
        }
    }

    async fn answer_delivery(
        &self,
        pipeline: Arc<Pipeline>,
        hook: &Hook,
        delivery: &Delivery,
        key: Option<(String, Vec<u8>)>,
        payload: impl FnOnce() -> Result<serde_json::Value, Problem>,
    ) -> Result<HookAnswer, Problem> {
        if let Some(why) = hook.ignore_reason(delivery.event.as_deref()) {
            return Ok(HookAnswer::Ignored(why));
        }
        if let Some(run) = self.known(key.as_ref(), &Secrets::new()).await? {
            return Ok(HookAnswer::Run(Box::new(run), false));
        }
        let payload = payload()?;
        if let Some(why) = condition::unmet(&hook.conditions, &payload) {
            return Ok(HookAnswer::Ignored(why));
        }
        let origin = RunOrigin { kind: OriginKind::Hook, name: delivery.asks() };
        let frame = Some(NewFrame::now(None, &FramePayload::Origin(Origin { by: origin.name.clone() })));
        let (given, odd) = pipeline.convert(hook.param_input(&payload));
        if !odd.is_empty() {
            // All that is wrong, and of these what the payload has.
            let mut errors = check_params(&pipeline, &given, &self.projects).err().unwrap_or_default();
            errors.retain(|error| odd.iter().all(|other| other.param != error.param));
            errors.extend(odd);
            errors.sort_by(|one, other| one.param.cmp(&other.param));
            return Err(Problem::params(errors));
        }
        let trigger = Some(RunTrigger::Hook(new_delivery(&pipeline.name, delivery)));
        let asked = AskedBy { origin, frame, trigger, actor: None };
        let (run, new) = self.ask(pipeline, &given, None, key, asked).await?;
        Ok(HookAnswer::Run(Box::new(run), new))
    }

    /// Hooks whose secret is not there, or too short.
    pub(super) fn hook_faults(&self) -> Vec<PipelineFileError> {
        let snapshot = self.catalog.snapshot();
        let missing = snapshot.pipelines.values().filter_map(|pipeline| {
            let hook = pipeline.hook.as_ref()?;
            let error = self.hook_secret(hook).err()?;
            Some(fault(&snapshot.files, pipeline, hook.line, error.to_string()))
        });
        missing.collect()
    }
}
