//! Server functions of schedules and deliveries, as those of [`crate::calls`].

use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;

use crate::calls::keyed_client::KeyedClient;
use crate::model::trigger::{DeliveryFilter, DeliveryPage, ScheduleList, TriggerAlerts};
use crate::model::{Problem, Run};

/// What every page tells: pauses, and deliveries that were refused lately.
///
/// # Errors
/// The database is not available.
#[server(prefix = "/fn", endpoint = "trigger_news", input = GetUrl)]
pub async fn read_trigger_news() -> Result<TriggerAlerts, Problem> {
    super::server::service()?.trigger_news().await
}

/// All schedules and what is known of them.
///
/// # Errors
/// The database is not available.
#[server(prefix = "/fn", endpoint = "schedules", input = GetUrl)]
pub async fn read_schedules() -> Result<ScheduleList, Problem> {
    super::server::answer(super::server::service()?.schedules().await)
}

/// Deliveries of hooks, newest first.
///
/// # Errors
/// The filter is not one, or the database is not available.
#[server(prefix = "/fn", endpoint = "deliveries", input = GetUrl)]
pub async fn list_deliveries(
    /// Which deliveries are wanted. All of them, if nothing is said.
    #[server(default)]
    filter: DeliveryFilter,
) -> Result<DeliveryPage, Problem> {
    super::server::answer(super::server::service()?.deliveries(&filter).await)
}

/// Pauses a schedule, or all of them if none is named.
///
/// # Errors
/// There is no such schedule, the reason is too long, or the database is not available.
#[server(prefix = "/fn", endpoint = "pause_schedules", client = KeyedClient)]
pub async fn pause_schedules(
    /// The pipeline's name; empty for all schedules.
    #[server(default)]
    pipeline: String,
    /// The schedule's name.
    #[server(default)]
    name: String,
    /// Why, for those who find it paused.
    #[server(default)]
    reason: String,
) -> Result<(), Problem> {
    let (service, by) = (super::server::service()?, super::server::actor()?);
    let paused = match pipeline.as_str() {
        "" => service.pause_schedules(&by, &reason).await.map(|_| ()),
        pipeline => service.pause_schedule(pipeline, &name, &by, &reason).await.map(|_| ()),
    };
    super::server::answer_action(paused)
}

/// Lets a schedule go on, or all of them if none is named.
///
/// # Errors
/// There is no such schedule, or the database is not available.
#[server(prefix = "/fn", endpoint = "resume_schedules", client = KeyedClient)]
pub async fn resume_schedules(
    /// The pipeline's name; empty for all schedules.
    #[server(default)]
    pipeline: String,
    /// The schedule's name.
    #[server(default)]
    name: String,
) -> Result<(), Problem> {
    let (service, by) = (super::server::service()?, super::server::actor()?);
    let resumed = match pipeline.as_str() {
        "" => service.resume_schedules(&by).await.map(|_| ()),
        pipeline => service.resume_schedule(pipeline, &name, &by).await.map(|_| ()),
    };
    super::server::answer_action(resumed)
}

/// Asks for a run of a schedule now, and leads to its page.
///
/// # Errors
/// There is no such schedule, what it gives does not fit its pipeline, or the database is not available.
#[server(prefix = "/fn", endpoint = "run_schedule", client = KeyedClient)]
pub async fn run_schedule(
    /// The pipeline's name.
    pipeline: String,
    /// The schedule's name.
    name: String,
) -> Result<Run, Problem> {
    let started = super::server::service()?.run_schedule(&pipeline, &name, &super::server::actor()?).await;
    let (run, _) = super::server::answer_action(started)?;
    leptos_axum::redirect(&format!("/runs/{}", run.id));
    Ok(run)
}
