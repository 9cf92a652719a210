//! The list of runs.

mod filters;
mod live;
mod row;
mod table;

pub use filters::{Filters, filter_of};
pub use table::RunTable;
