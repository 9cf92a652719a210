//! The list of runs.

use super::{Backend, page_limit};
use crate::model::{Problem, ProblemCode, RunFilter, RunPage};

/// Runs on a page of the list: by default, and at most.
const PAGE_RUNS: (u32, u32) = (50, 200);

/// A page of the runs that match the filter, newest first.
///
/// # Errors
/// [`ProblemCode::BadRequest`] for a limit out of bounds or a `before` that is not the id of a run; the database's
/// errors.
pub async fn list(backend: &Backend, filter: &RunFilter) -> Result<RunPage, Problem> {
    let limit = page_limit(filter.limit, PAGE_RUNS)?;
    let before = match filter.before.as_deref().filter(|before| !before.is_empty()) {
        None => None,
        Some(before) => {
            let fault = |_| Problem::new(ProblemCode::BadRequest, format!("Invalid cursor `{before}`."));
            Some(before.parse().map_err(fault)?)
        }
    };
    let (runs, next) = backend.store.list(filter, limit, before.as_ref()).await?;
    Ok(RunPage { runs, next: next.map(String::from) })
}
