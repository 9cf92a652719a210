//! The Activity panel: every frame of a run, as it comes.

mod detail;
mod link;
mod list;
mod panel;
pub mod row;
mod scroll;

pub use link::{FrameLink, FrameLinks, seq};
pub use panel::ActivityPanel;
