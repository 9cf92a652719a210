//! Finds the hook of a pipeline and its secret.

use std::sync::Arc;

use super::{HookSecretError, Secret};
use crate::model::{Hook, Pipeline, PipelineFileError, Problem, ProblemCode};
use crate::runs::{Backend, pipeline_fault};

/// The pipeline of this name, its hook, and the hook's secret.
///
/// # Errors
/// [`ProblemCode::HookNotFound`], the same for an unknown pipeline and for one without a hook;
/// [`ProblemCode::HookSecretMissing`].
pub fn find_hook(backend: &Backend, name: &str) -> Result<(Arc<Pipeline>, Hook, Secret), Problem> {
    let found = backend.catalog.get(name).and_then(|pipeline| Some((pipeline.hook.clone()?, pipeline)));
    let (hook, pipeline) =
        found.ok_or_else(|| Problem::new(ProblemCode::HookNotFound, format!("There is no hook `{name}`.")))?;
    let secret = read_secret(backend, &hook).map_err(|error| {
        tracing::error!(pipeline = name, %error, "cannot read the secret of a hook; its deliveries are refused");
        // Where the secret should be is for the operator only: the home page says it.
        Problem::new(ProblemCode::HookSecretMissing, "The server cannot use the hook's secret; its home page says why.")
    })?;
    Ok((pipeline, hook, secret))
}

/// Reads the secret of a hook. A short one is accepted only if no other machine can call the hook to guess it.
fn read_secret(backend: &Backend, hook: &Hook) -> Result<Secret, HookSecretError> {
    if backend.is_exposed { Secret::read_strong(&hook.secret) } else { Secret::read(&hook.secret) }
}

/// Hooks whose secret is missing or too short.
pub fn faults(backend: &Backend) -> Vec<PipelineFileError> {
    let snapshot = backend.catalog.snapshot();
    let faults = snapshot.pipelines.values().filter_map(|pipeline| {
        let hook = pipeline.hook.as_ref()?;
        let error = read_secret(backend, hook).err()?;
        Some(pipeline_fault(&snapshot, pipeline, hook.line, error.to_string()))
    });
    faults.collect()
}
