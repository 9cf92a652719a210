//! A long log as a list of rows. `seq` is dense, so row and seq are the same number: the list spans the whole journal, and
//! holds only the frames near what the reader looks at.
//!
//! - [`Windows`] holds frames, in windows of [`WINDOW_ROWS`] rows, and drops those far from the view.
//! - [`RowLoader`] decides which missing rows to ask the server for, and when to ask again after a failure.
//! - `Redraws` knows which frames share a row, because one was drawn anew in the place of another.
//! - [`Heights`] knows how high rows are: an estimate until they are loaded.
//! - [`Viewport`] maps the scroll position to rows, keeps what the reader looks at in place, and follows the end.
//! - [`Scale`] maps a list that is higher than browsers allow an element to be onto one that is not.

mod heights;
mod loader;
#[cfg(test)]
mod model_tests;
mod redraws;
mod scale;
mod viewport;
#[cfg(test)]
mod viewport_tests;
mod weight;
mod windows;
#[cfg(test)]
mod windows_tests;

pub use heights::Heights;
pub use loader::{LoadState, MAX_LOAD_ROWS, NEAR_ROWS, RowLoader};
pub use scale::Scale;
pub use viewport::{Align, Layout, Metrics, Viewport};
pub use windows::{Budget, WINDOW_ROWS, Windows};
