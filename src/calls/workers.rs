//! Server functions of workers.

use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;

#[cfg(feature = "ssr")]
use super::context;
use crate::model::Problem;
use crate::model::workers::{DrainStatus, WorkerList};

/// All workers with the runs that they execute.
///
/// # Errors
/// The database is unavailable.
#[server(prefix = "/fn", endpoint = "workers", input = GetUrl)]
pub async fn read_workers() -> Result<WorkerList, Problem> {
    context::respond(crate::instances::workers(&context::backend()?).await)
}

/// Whether this server is draining.
///
/// # Errors
/// Only failures of the connection.
#[server(prefix = "/fn", endpoint = "drain_status", input = GetUrl)]
pub async fn read_drain_status() -> Result<DrainStatus, Problem> {
    Ok(crate::instances::drain_status(&context::backend()?))
}
