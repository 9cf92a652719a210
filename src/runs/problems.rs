//! What callers are told when the database or the journal's writer refuses, and checks that several use cases share.

use crate::journal::WriteError;
use crate::model::{Problem, ProblemCode, Run, RunId};
use crate::store::{Committed, StoreError};

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Gone) {
            return Self::new(ProblemCode::RunNotFound, "The run was deleted.");
        }
        match error {
            StoreError::Full(_) => {
                let detail = "The disk of the database is full. Free up space or delete runs, then try again.";
                return Self::new(ProblemCode::DiskFull, detail);
            }
            StoreError::Locked(_) => {
                let detail = "Another program has locked the database. Nothing was changed. Try again in a moment.";
                return Self::new(ProblemCode::DatabaseUnavailable, detail);
            }
            _ => tracing::error!(%error, "a database call failed"),
        }
        if error.is_retryable() {
            let detail = "The database is busy or unavailable. Nothing was changed. Try again in a moment.";
            return Self::new(ProblemCode::DatabaseUnavailable, detail);
        }
        // The details are for the server's log only.
        Self::new(ProblemCode::Internal, "The database failed. See the server's log.")
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Store(error) => error.into(),
            WriteError::Closed => {
                Self::new(ProblemCode::ShuttingDown, "The server is shutting down. Try again in a moment.")
            }
            WriteError::KeyConflict => Self::new(
                ProblemCode::IdempotencyConflict,
                "This Idempotency-Key came with another request before. Use a new key for a new request.",
            ),
            WriteError::QueueFull => Self::new(
                ProblemCode::TooManyQueued,
                "As many runs wait for a worker as may. Cancel some, or try again when some have begun; --max-queued says how many \
                 may wait, and --workers how many are carried out at once.",
            ),
            WriteError::KeyOfDeleted => Self::new(
                ProblemCode::RunDeleted,
                "The run that this Idempotency-Key has started was deleted. Use a new key to start another one.",
            ),
            WriteError::Refused | WriteError::Skipped(_) => {
                let detail = "The run kept changing while the request was processed. Try again.";
                Self { retryable: true, ..Self::new(ProblemCode::RunActive, detail) }
            }
        }
    }
}

/// The page size for a request, from the default size and the largest one.
///
/// # Errors
/// [`ProblemCode::BadRequest`] if the requested size is 0 or too large.
pub fn page_limit(requested: Option<u32>, (default, max): (u32, u32)) -> Result<u32, Problem> {
    match requested {
        None => Ok(default),
        Some(limit) if (1..=max).contains(&limit) => Ok(limit),
        Some(limit) => {
            Err(Problem::new(ProblemCode::BadRequest, format!("The limit {limit} is out of bounds; give 1 to {max}.")))
        }
    }
}

/// Parses the id of a run.
///
/// # Errors
/// [`ProblemCode::RunNotFound`] for a text that is the id of no run.
pub fn run_id(id: &str) -> Result<RunId, Problem> {
    id.parse().map_err(|_| run_not_found(id))
}

/// [`ProblemCode::RunNotFound`] for this id.
pub fn run_not_found(id: &str) -> Problem {
    Problem::new(ProblemCode::RunNotFound, format!("There is no run `{id}`. It may have been deleted or cleaned up."))
}

/// The run as the commit left it, for the response: a later read could find it deleted by retention.
///
/// # Errors
/// [`ProblemCode::RunNotFound`] if the write was the deletion of the run.
pub fn committed_run(committed: Committed, id: &str) -> Result<Run, Problem> {
    committed.run_after.map(|run| *run).ok_or_else(|| run_not_found(id))
}
