//! Server functions of runs.

use std::collections::BTreeMap;

use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;

#[cfg(feature = "ssr")]
use super::context;
use super::keyed_client::KeyedClient;
#[cfg(feature = "ssr")]
use crate::forms::FormInput;
use crate::model::queue::Queue;
use crate::model::{Problem, Run, RunFilter, RunPage, RunView};
#[cfg(feature = "ssr")]
use crate::runs::{CancelMode, RerunFrom, RerunRequest};

/// Runs, newest first.
///
/// # Errors
/// The filter is invalid, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "list_runs", input = GetUrl)]
pub async fn list_runs(
    /// An empty filter has no query parameters at all, so a missing one means all runs.
    #[server(default)]
    filter: RunFilter,
) -> Result<RunPage, Problem> {
    context::respond(crate::runs::list(&context::backend()?, &filter).await)
}

/// The pending runs, in the order in which they will start.
///
/// # Errors
/// The database is unavailable.
#[server(prefix = "/fn", endpoint = "queue", input = GetUrl)]
pub async fn read_queue() -> Result<Queue, Problem> {
    context::respond(crate::runs::queue(&context::backend()?).await)
}

/// A run and a part of its journal, for the first view of its page.
///
/// # Errors
/// There is no such run, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "view_run", input = GetUrl)]
pub async fn view_run(
    id: String,
    /// Selects the frames around this seq. Without it, or if there is no such frame, the newest.
    #[server(default)]
    at: Option<u64>,
) -> Result<RunView, Problem> {
    context::respond(crate::runs::view(&context::backend()?, &id, at).await)
}

/// Re-runs a finished run.
///
/// # Errors
/// There is no such run, it is active, its pipeline no longer exists, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "rerun", client = KeyedClient)]
pub async fn rerun(
    id: String,
    /// The attempt that the operator saw. If a newer one exists, nothing happens, so that two clicks create one
    /// attempt.
    attempt: u32,
    /// Whether to start at the first phase that did not complete.
    #[server(default)]
    failed: bool,
) -> Result<Run, Problem> {
    let from = if failed { RerunFrom::Failed } else { RerunFrom::Start };
    let asked = RerunRequest { expected_attempt: Some(attempt), ..RerunRequest::default() };
    context::respond_to_action(crate::runs::rerun(&context::backend()?, &id, from, asked, &context::actor()?).await)
}

/// Re-runs a finished run with other parameters, and redirects to its page.
///
/// # Errors
/// As [`rerun`], and the values do not fit the pipeline (one entry per parameter in `errors`).
#[server(prefix = "/fn", endpoint = "rerun_edited", client = KeyedClient)]
pub async fn rerun_edited(
    id: String,
    /// The attempt that the operator saw. If a newer one exists, nothing happens.
    attempt: u32,
    /// Whether to start at the first phase that did not complete.
    #[server(default)]
    failed: bool,
    #[server(default)] params: BTreeMap<String, String>,
    /// The names of the form's checkboxes, separated by commas, since forms do not send unchecked ones.
    #[server(default)]
    boxes: String,
    /// The attempt whose values the form was filled with.
    #[server(default)]
    shown: Option<u32>,
) -> Result<Run, Problem> {
    let from = if failed { RerunFrom::Failed } else { RerunFrom::Start };
    let form = FormInput { fields: params, boxes };
    let again = crate::forms::rerun(&context::backend()?, &id, from, form, shown, attempt, &context::actor()?).await;
    let run = context::respond_to_action(again)?;
    context::redirect(&format!("/runs/{}", run.id));
    Ok(run)
}

/// Cancels an active run.
///
/// # Errors
/// There is no such run, it is finished, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "cancel", client = KeyedClient)]
pub async fn cancel(
    id: String,
    /// Whether to send SIGKILL at once, without the grace time.
    kill: bool,
) -> Result<Run, Problem> {
    let kill = if kill { CancelMode::Force } else { CancelMode::Graceful };
    context::respond_to_action(crate::runs::cancel(&context::backend()?, &id, &context::actor()?, kill).await)
}

/// Pins a run, so that retention keeps it, or unpins it.
///
/// # Errors
/// There is no such run, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "pin_run", client = KeyedClient)]
pub async fn pin_run(id: String, pinned: bool) -> Result<Run, Problem> {
    context::respond_to_action(crate::retention::pin(&context::backend()?, &id, pinned, &context::actor()?).await)
}

/// Deletes a finished run and redirects to the list.
///
/// # Errors
/// There is no such run, it is active or pinned, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "delete_run", client = KeyedClient)]
pub async fn delete_run(id: String) -> Result<(), Problem> {
    context::respond_to_action(crate::retention::delete(&context::backend()?, &id, &context::actor()?).await)?;
    context::redirect("/");
    Ok(())
}
