//! The Activity panel: every frame of a run, as it comes.

mod detail;
mod list;
mod panel;
pub mod row;
mod scroll;

pub use panel::ActivityPanel;
