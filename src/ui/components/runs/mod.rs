//! The list of runs.

mod filters;
mod row;
mod state;
mod table;
#[cfg(feature = "hydrate")]
mod updates;

pub use filters::{Filters, filter_from_query};
pub use table::RunTable;
