//! The attempts of a run: selecting one, comparing two, and re-running with changed parameters.

mod compare;
mod edit;
mod selected;
mod tabs;

pub use compare::ComparisonView;
pub use edit::{EditDialog, edit_address};
pub use selected::{SelectedAttempt, parse_attempt};
pub use tabs::{AttemptNote, AttemptTabs};
