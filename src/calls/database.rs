//! Server functions of the database.

use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;

#[cfg(feature = "ssr")]
use super::context;
use crate::model::{DatabaseHealth, DatabaseUsage, Problem};

/// The size of the database.
///
/// # Errors
/// The database is unavailable.
#[server(prefix = "/fn", endpoint = "database", input = GetUrl)]
pub async fn read_database() -> Result<DatabaseUsage, Problem> {
    crate::retention::database_usage(&context::backend()?).await
}

/// Whether the database accepts writes.
///
/// # Errors
/// Only failures of the connection.
#[server(prefix = "/fn", endpoint = "database_health", input = GetUrl)]
pub async fn read_database_health() -> Result<DatabaseHealth, Problem> {
    Ok(crate::retention::database_health(&context::backend()?))
}
