//! The programs that share the database: each writes heartbeats with what it offers to runs, and knows the others by
//! theirs. Use cases: the list of workers, and draining.

mod drain;
mod folders;
mod list;
mod shortage_log;
mod task;

pub use drain::{drain, drain_status};
pub use list::workers;
pub use task::InstanceTask;

/// How long an instance that ended, or was lost, is remembered: it shows since when runs wait for a worker like it.
const FORGET_AFTER_MS: i64 = 24 * 60 * 60 * 1000;

/// How long a lost instance is listed.
const LIST_LOST_MS: i64 = 60 * 60 * 1000;
