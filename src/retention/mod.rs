//! Retention: finished runs are kept as long as the rule of their pipeline says, pinned runs for ever. `pin` and
//! `delete` are for people; `task` deletes expired runs and purges what deleted runs leave; `database` says how much
//! space all runs use.
//!
//! Deleting a run is one small write that makes its row a tombstone: from then on the run is invisible, and a
//! concurrent re-run or pin either wins or is refused. The purge then removes its frames, a few per write, its folders,
//! and last the tombstone. So after a crash the next server continues. At the end the database returns free pages to
//! the system.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod database;
mod delete;
mod folders;
mod pin;
mod task;

pub use database::{database_health, database_usage};
pub use delete::delete;
pub use pin::pin;
pub use task::{RetentionOptions, RetentionTask};
