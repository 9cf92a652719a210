//! Hooks: a forge asks for a run. Whether it is the forge is known before this is called.

use std::sync::Arc;

use super::Service;
use super::schedules::fault;
use crate::hooks::{Delivery, Secret, condition};
use crate::model::kinds::Origin;
use crate::model::{Body, Code, Hook, Pipeline, PipelineFault, Problem, Run};
use crate::store::NewFrame;

/// What became of a delivery.
pub enum HookAnswer {
    /// It starts nothing, for this reason.
    Ignored(String),
    /// A run, and whether it is new: a delivery that comes again is the same run.
    Run(Box<Run>, bool),
}

impl Service {
    /// The pipeline of this name, its hook, and the secret that is to be known. Whether there is no such pipeline or just no
    /// hook is not told.
    ///
    /// # Errors
    /// [`Code::HookNotFound`], [`Code::HookSecretMissing`].
    pub fn hook(&self, name: &str) -> Result<(Arc<Pipeline>, Hook, Secret), Problem> {
        let found = self.catalog.get(name).and_then(|pipeline| Some((pipeline.hook.clone()?, pipeline)));
        let (hook, pipeline) =
            found.ok_or_else(|| Problem::new(Code::HookNotFound, format!("There is no hook `{name}`.")))?;
        let secret = Secret::read(&hook.secret).map_err(|error| {
            tracing::error!(pipeline = name, %error, "a hook was called");
            // Where it should be is the operator's affair: the first page says it.
            Problem::new(
                Code::HookSecretMissing,
                "The server does not find the hook's secret; its first page says why.",
            )
        })?;
        Ok((pipeline, hook, secret))
    }

    /// Asks for the run of a delivery with this body, which `payload` reads if it is needed.
    ///
    /// # Errors
    /// What `payload` says; [`Code::InvalidParams`]; the database's own.
    pub async fn deliver(
        &self,
        pipeline: Arc<Pipeline>,
        hook: &Hook,
        delivery: &Delivery,
        body: &[u8],
        payload: impl FnOnce() -> Result<serde_json::Value, Problem>,
    ) -> Result<HookAnswer, Problem> {
        if let Some(why) = hook.ignores_event(delivery.event.as_deref()) {
            return Ok(HookAnswer::Ignored(why));
        }
        let key = delivery.key(&pipeline.name, body);
        if let Some(run) = self.known(key.as_ref()).await? {
            return Ok(HookAnswer::Run(Box::new(run), false));
        }
        let payload = payload()?;
        if let Some(why) = condition::unmet(&hook.conditions, &payload) {
            return Ok(HookAnswer::Ignored(why));
        }
        let origin = NewFrame::now(None, &Body::Origin(Origin { by: delivery.asks() }));
        let (run, new) = self.ask(pipeline, &hook.given(&payload), None, key, Some(origin)).await?;
        Ok(HookAnswer::Run(Box::new(run), new))
    }

    /// Hooks whose secret is not there.
    pub(super) fn hook_faults(&self) -> Vec<PipelineFault> {
        let snapshot = self.catalog.snapshot();
        let missing = snapshot.pipelines.values().filter_map(|pipeline| {
            let hook = pipeline.hook.as_ref()?;
            let error = Secret::read(&hook.secret).err()?;
            Some(fault(&snapshot.files, pipeline, hook.line, error.to_string()))
        });
        missing.collect()
    }
}
