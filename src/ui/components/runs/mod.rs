//! The list of runs.

#[cfg(feature = "hydrate")]
mod engine;
mod filters;
mod live;
mod row;
mod table;

pub use filters::{Filters, filter_of};
pub use table::RunTable;
