//! The use cases of runs: start, re-run, cancel, list, view, read, compare and review. Server functions and the JSON
//! API call them; they know no HTTP and execute nothing: a change goes through the journal, and the engine does the
//! rest.
//!
//! Every use case is a function over [`Backend`]. Approvals, schedules, hooks and retention have folders of their own.

mod attempts;
mod backend;
mod cancel;
mod compare;
mod conflict;
mod faults;
mod frames;
mod list;
mod log;
mod placement;
mod problems;
mod queue;
mod rerun;
mod review;
mod start;
mod view;

pub use attempts::{attempt, attempts, find_attempt};
pub use backend::Backend;
pub use cancel::{CancelMode, cancel};
pub use compare::compare;
pub use conflict::{ChangeError, retry_on_conflict};
pub use faults::pipeline_fault;
pub use frames::{RawFramePage, frames, open_reader};
pub use list::list;
pub use log::final_log;
pub use placement::{instances, is_this, shortages, unavailable_since};
pub use problems::{committed_run, page_limit, run_id, run_not_found};
pub use queue::{create_run, queue};
pub use rerun::{RerunFrom, RerunRequest, rerun};
pub use review::{findings, patch, patches};
pub use start::{Starter, find_started, start, start_run};
pub use view::{get, view};
