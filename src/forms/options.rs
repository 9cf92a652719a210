//! What the start form offers.

use crate::model::StartOptions;
use crate::runs::Backend;
use crate::{hooks, schedules};

/// The pipelines, the project folders, what is wrong with pipeline files, and the next due times.
pub fn start_options(backend: &Backend) -> StartOptions {
    let mut faults = backend.catalog.faults();
    faults.extend(schedules::faults(backend));
    faults.extend(hooks::faults(backend));
    StartOptions {
        pipelines: backend.catalog.all(),
        faults,
        projects: backend.projects.all_roots(),
        upcoming: schedules::upcoming(backend),
    }
}
