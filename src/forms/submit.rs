//! What forms submit. Their fields are compared with the values that they were filled with ([`parse_form`]).

use std::collections::BTreeMap;

use crate::access::Actor;
use crate::model::form::parse_form;
use crate::model::{FormPrefill, Problem, Run};
use crate::runs::{self, Backend, RerunFrom, RerunRequest, find_attempt, run_not_found};

/// The fields of a submitted form.
#[derive(Clone, Default)]
pub struct FormInput {
    /// The text of each field, by the parameter's name.
    pub fields: BTreeMap<String, String>,
    /// The names of the form's checkboxes, separated by commas: a form does not submit those that are not checked.
    pub boxes: String,
}

/// Starts a run with the values of the start form.
///
/// # Errors
/// As [`runs::start`].
pub async fn start(
    backend: &Backend,
    pipeline: &str,
    form: FormInput,
    key: Option<&str>,
    actor: &Actor,
) -> Result<(Run, bool), Problem> {
    let found = backend.pipeline(pipeline)?;
    let input = parse_form(&found, form.fields, &form.boxes, FormPrefill::Defaults);
    runs::start(backend, pipeline, input, None, key, actor).await
}

/// Re-runs a run with the values of a form that was filled with those of the attempt `shown`, by default the last one.
/// `expected_attempt` is the last attempt that the page knows.
///
/// # Errors
/// As [`runs::rerun`]; [`Code::NotFound`](crate::model::ProblemCode::NotFound) if there is no attempt `shown`.
pub async fn rerun(
    backend: &Backend,
    id: &str,
    from: RerunFrom,
    form: FormInput,
    shown: Option<u32>,
    expected_attempt: u32,
    actor: &Actor,
) -> Result<Run, Problem> {
    let (key, _) = backend.find(id).await?;
    let run = backend.store.run(key).await?.ok_or_else(|| run_not_found(id))?;
    let shown = match shown.filter(|shown| *shown != run.attempt) {
        Some(attempt) => find_attempt(backend, id, key, attempt).await?.params,
        None => run.params.clone(),
    };
    let filled = FormPrefill::Attempt { shown: &shown, last: &run.params };
    let pipeline = backend.pipeline(&run.pipeline)?;
    let input = parse_form(&pipeline, form.fields, &form.boxes, filled);
    let request =
        RerunRequest { params: Some(input), expected_attempt: Some(expected_attempt), ..RerunRequest::default() };
    runs::rerun(backend, id, from, request, actor).await
}
