//! Approvals: a person decides whether a run that waits for them continues. The decision is written to the journal; the
//! engine resumes or ends the run.

mod decide;

pub use decide::{DecisionRequest, decide, excluded_paths};
