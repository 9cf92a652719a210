//! The size and the health of the database.

use crate::model::{DatabaseHealth, DatabaseUsage, Problem};
use crate::runs::Backend;

/// Whether the database accepts writes, as the journal's writer last found: does not access the database.
pub fn database_health(backend: &Backend) -> DatabaseHealth {
    DatabaseHealth { outage: backend.journal.health().outage() }
}

/// The size of the database and the number of runs.
///
/// # Errors
/// The database's errors.
pub async fn database_usage(backend: &Backend) -> Result<DatabaseUsage, Problem> {
    let (size, counts) = (backend.store.size().await?, backend.store.status_counts().await?);
    Ok(DatabaseUsage { size, runs: counts.iter().map(|(_, runs)| runs).sum() })
}
