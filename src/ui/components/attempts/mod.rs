//! The attempts of a run: which one is shown, how two differ, and asking for another one with other parameters.

mod compare;
mod edit;
mod shown;
mod tabs;

pub use compare::ComparisonView;
pub use edit::{EditDialog, edit_address};
pub use shown::{ShownAttempt, number};
pub use tabs::{AttemptNote, AttemptTabs};
