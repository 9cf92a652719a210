//! A long log as a virtual list of rows. Seqs are dense, so a row's number is its seq: the list spans the whole
//! journal, and holds only the frames near the visible rows.
//!
//! - [`Windows`] holds frames in windows of [`WINDOW_ROWS`] rows, and drops those far from the view.
//! - [`RowLoader`] decides which missing rows to request, and when to retry after a failure.
//! - `Redraws` tracks which frames share a row because one redraws another.
//! - [`Heights`] holds the rows' heights: an estimate until they are loaded.
//! - [`Viewport`] maps the scroll position to rows, keeps the visible rows in place, and follows the end.
//! - [`Scale`] maps a list that is higher than browsers allow onto an element that is not.

mod frame_size;
mod heights;
mod loader;
#[cfg(test)]
mod model_tests;
mod redraws;
mod scale;
mod viewport;
#[cfg(test)]
mod viewport_tests;
mod windows;
#[cfg(test)]
mod windows_tests;

pub use heights::Heights;
pub use loader::{LoadState, MAX_LOAD_ROWS, NEAR_ROWS, RowLoader};
pub use scale::Scale;
pub use viewport::{Align, Layout, Metrics, Viewport};
pub use windows::{Budget, Windows};

/// Rows per window. Window 0 has the seqs 1 to 500.
pub const WINDOW_ROWS: u64 = 500;
