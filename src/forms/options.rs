//! What the start form offers.

use crate::model::{Offer, Problem};
use crate::runs::Backend;
use crate::{hooks, schedules};

/// The pipelines, the project folders, what is wrong with pipeline files, and the next due times.
///
/// # Errors
/// Never fails today; the result is that of a server function.
pub fn start_options(backend: &Backend) -> Result<Offer, Problem> {
    let mut faults = backend.catalog.faults();
    faults.extend(schedules::faults(backend));
    faults.extend(hooks::faults(backend));
    Ok(Offer {
        pipelines: backend.catalog.all(),
        faults,
        projects: backend.projects.roots().to_vec(),
        upcoming: schedules::upcoming(backend),
    })
}
