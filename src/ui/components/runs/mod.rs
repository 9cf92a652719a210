//! The list of runs.

mod filters;
mod live;
mod row;
mod table;
#[cfg(feature = "hydrate")]
mod watched;

pub use filters::{Filters, filter_of};
pub use table::RunTable;
