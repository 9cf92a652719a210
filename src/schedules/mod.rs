//! Schedules: runs that start at due times. `task` creates the runs; `list`, `pause`, `run_now` and `alerts` are the
//! use cases.
//!
//! The rest is pure: [`fields`] checks a cron expression field by field, [`rule`] computes its due times in a time
//! zone, [`due`](mod@due) decides what to start given a schedule's cursor and the time, and [`missing`] when the cursor
//! of a removed schedule is deleted.

mod alerts;
pub mod due;
pub mod fields;
mod list;
pub mod missing;
mod named;
mod pause;
pub mod rule;
mod run_now;
mod task;

pub use alerts::trigger_alerts;
pub use due::{Due, ScheduleCheck, due};
pub use list::{faults, list, pipelines, upcoming};
pub use missing::MissingSchedules;
pub use pause::{pause, pause_all, resume, resume_all};
pub use rule::{Rule, RuleError};
pub use run_now::run_now;
pub use task::ScheduleTask;
