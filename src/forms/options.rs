//! What the start form offers.

use crate::model::{Problem, StartOptions};
use crate::runs::Backend;
use crate::{hooks, schedules};

/// The pipelines, the project folders, what is wrong with pipeline files, and the next due times.
///
/// # Errors
/// Never fails today; the result is that of a server function.
pub fn start_options(backend: &Backend) -> Result<StartOptions, Problem> {
    let mut faults = backend.catalog.faults();
    faults.extend(schedules::faults(backend));
    faults.extend(hooks::faults(backend));
    Ok(StartOptions {
        pipelines: backend.catalog.all(),
        faults,
        projects: backend.projects.roots().to_vec(),
        upcoming: schedules::upcoming(backend),
    })
}
