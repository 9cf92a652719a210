//! Server functions of the start form.

use std::collections::BTreeMap;

use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;

#[cfg(feature = "ssr")]
use super::context;
use super::keyed_client::KeyedClient;
#[cfg(feature = "ssr")]
use crate::forms::FormInput;
use crate::model::{Problem, Run, StartOptions};

/// The pipelines, projects and schedules that the start form offers.
///
/// # Errors
/// Only failures of the connection.
#[server(prefix = "/fn", endpoint = "offer", input = GetUrl)]
pub async fn read_offer() -> Result<StartOptions, Problem> {
    Ok(crate::forms::start_options(&context::backend()?))
}

/// Creates a run and redirects to its page.
///
/// # Errors
/// There is no such pipeline, the values do not fit it (one entry per parameter in `errors`), or the database is
/// unavailable.
#[server(prefix = "/fn", endpoint = "start_run", client = KeyedClient)]
pub async fn start_run(
    pipeline: String,
    #[server(default)] params: BTreeMap<String, String>,
    /// The form's idempotency key: submitting it twice creates one run.
    #[server(default)]
    key: String,
    /// The names of the form's checkboxes, separated by commas, since forms do not send unchecked ones.
    #[server(default)]
    boxes: String,
) -> Result<Run, Problem> {
    let key = Some(key).filter(|key| !key.is_empty());
    let form = FormInput { fields: params, boxes };
    let started = crate::forms::start(&context::backend()?, &pipeline, form, key.as_deref(), &context::actor()?).await;
    let (run, _) = context::respond_to_action(started)?;
    context::redirect(&format!("/runs/{}", run.id));
    Ok(run)
}

/// Redirects to the start form with the fields of this pipeline. Forms without scripts are sent here: by POST, so that
/// no input appears in a URL.
///
/// # Errors
/// None.
#[server(prefix = "/fn", endpoint = "show_fields", client = KeyedClient)]
pub async fn show_fields(pipeline: String) -> Result<(), Problem> {
    // Other names would need escaping, and no pipeline can have them.
    let is_name = pipeline.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    context::redirect(&if is_name { format!("/?pipeline={pipeline}") } else { "/".to_owned() });
    Ok(())
}
