//! The log panel: every frame of a run as a row.

mod detail;
mod link;
mod list;
mod panel;
pub mod row;
mod scroll;

pub use link::{FrameLink, FrameLinks, parse_seq};
pub use panel::ActivityPanel;
