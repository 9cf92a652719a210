//! When schedules are due. Pure: the caller passes the time.
//!
//! [`fields`] validates an expression, [`rule`] computes its due times, [`due()`] decides what to start, and
//! [`missing`] when the cursor of a removed schedule is deleted. The background task is `runs/schedules.rs`.

pub mod due;
pub mod fields;
pub mod missing;
pub mod rule;

pub use due::{Due, ScheduleCheck, due};
pub use missing::MissingSchedules;
pub use rule::{Rule, RuleError};
