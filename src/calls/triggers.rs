//! Server functions of schedules and deliveries.

use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;

#[cfg(feature = "ssr")]
use super::context;
use super::keyed_client::KeyedClient;
use crate::model::trigger::{DeliveryFilter, DeliveryPage, ScheduleList, TriggerAlerts};
use crate::model::{Problem, Run};

/// The news that every page shows: pauses, and deliveries that were refused lately.
///
/// # Errors
/// The database is unavailable.
#[server(prefix = "/fn", endpoint = "trigger_news", input = GetUrl)]
pub async fn read_trigger_news() -> Result<TriggerAlerts, Problem> {
    crate::schedules::trigger_alerts(&context::backend()?).await
}

/// All schedules with their state.
///
/// # Errors
/// The database is unavailable.
#[server(prefix = "/fn", endpoint = "schedules", input = GetUrl)]
pub async fn read_schedules() -> Result<ScheduleList, Problem> {
    context::respond(crate::schedules::list(&context::backend()?).await)
}

/// Deliveries of hooks, newest first.
///
/// # Errors
/// The filter is invalid, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "deliveries", input = GetUrl)]
pub async fn list_deliveries(
    /// Without it, all deliveries.
    #[server(default)]
    filter: DeliveryFilter,
) -> Result<DeliveryPage, Problem> {
    context::respond(crate::hooks::list_deliveries(&context::backend()?, &filter).await)
}

/// Pauses a schedule, or all schedules if `pipeline` is empty.
///
/// # Errors
/// There is no such schedule, the reason is too long, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "pause_schedules", client = KeyedClient)]
pub async fn pause_schedules(
    /// Empty for all schedules.
    #[server(default)]
    pipeline: String,
    #[server(default)] name: String,
    #[server(default)] reason: String,
) -> Result<(), Problem> {
    let (backend, by) = (context::backend()?, context::actor()?);
    let paused = match pipeline.as_str() {
        "" => crate::schedules::pause_all(&backend, &by, &reason).await.map(|_| ()),
        pipeline => crate::schedules::pause(&backend, pipeline, &name, &by, &reason).await.map(|_| ()),
    };
    context::respond_to_action(paused)
}

/// Resumes a schedule, or all schedules if `pipeline` is empty.
///
/// # Errors
/// There is no such schedule, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "resume_schedules", client = KeyedClient)]
pub async fn resume_schedules(
    /// Empty for all schedules.
    #[server(default)]
    pipeline: String,
    #[server(default)] name: String,
) -> Result<(), Problem> {
    let (backend, by) = (context::backend()?, context::actor()?);
    let resumed = match pipeline.as_str() {
        "" => crate::schedules::resume_all(&backend, &by).await.map(|_| ()),
        pipeline => crate::schedules::resume(&backend, pipeline, &name, &by).await.map(|_| ()),
    };
    context::respond_to_action(resumed)
}

/// Runs a schedule now and redirects to the run's page.
///
/// # Errors
/// There is no such schedule, its parameters do not fit the pipeline, or the database is unavailable.
#[server(prefix = "/fn", endpoint = "run_schedule", client = KeyedClient)]
pub async fn run_schedule(pipeline: String, name: String) -> Result<Run, Problem> {
    let started = crate::schedules::run_now(&context::backend()?, &pipeline, &name, &context::actor()?).await;
    let (run, _) = context::respond_to_action(started)?;
    context::redirect(&format!("/runs/{}", run.id));
    Ok(run)
}
