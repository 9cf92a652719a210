//! The queue: which runs are pending, and whether another one may join them.

use super::{Backend, ChangeError, retry_on_conflict, shortages};
use crate::journal::WriteError;
use crate::model::queue::{BusyPolicy, ConcurrencyGroup, MAX_PRIORITY, Queue};
use crate::model::{Problem, ProblemCode, RunId};
use crate::store::{CreateRun, Created};

/// The most pending runs that are listed.
const MAX_LISTED: u32 = 1000;

/// The pending runs in the order in which they will start.
///
/// # Errors
/// The database's errors.
pub async fn queue(backend: &Backend) -> Result<Queue, Problem> {
    let (total, mut waiting) = backend.store.queue(MAX_LISTED).await?;
    if total > 0 {
        let mut shortages = shortages(backend).await?;
        for run in &mut waiting {
            run.waiting_for = shortages.remove(&run.id);
        }
    }
    Ok(Queue { workers: backend.engine.workers(), busy: backend.engine.busy(), total, waiting })
}

/// Creates a pending run.
///
/// # Errors
/// [`ProblemCode::GroupBusy`] if the pipeline refuses a second run of its group; [`ProblemCode::TooManyQueued`];
/// [`ProblemCode::IdempotencyConflict`]; [`ProblemCode::RunDeleted`]; the database's errors.
pub async fn create_run(backend: &Backend, new: CreateRun) -> Result<Created, Problem> {
    retry_on_conflict(|| create_once(backend, &new)).await
}

async fn create_once(backend: &Backend, new: &CreateRun) -> Result<Created, ChangeError> {
    match backend.journal.create(new.clone()).await {
        Err(WriteError::Refused) => {
            check_group(backend, new.pipeline.group(&new.params)).await?;
            // The run that was in the way has ended since.
            Err(ChangeError::Conflict)
        }
        created => Ok(created?),
    }
}

/// # Errors
/// [`ProblemCode::TooManyQueued`] if no more runs may be pending. Requests at the same moment may exceed the limit by a
/// few.
pub(super) async fn check_queue(backend: &Backend) -> Result<(), Problem> {
    let (waiting, _) = backend.store.queue(1).await?;
    if waiting < u64::from(backend.max_queued) { Ok(()) } else { Err(WriteError::QueueFull.into()) }
}

/// # Errors
/// [`ProblemCode::GroupBusy`] if a run of the group is active and the pipeline refuses another one.
pub(super) async fn check_group(backend: &Backend, group: Option<ConcurrencyGroup>) -> Result<(), Problem> {
    let Some(ConcurrencyGroup { key, when_busy: BusyPolicy::Refuse }) = group else { return Ok(()) };
    match backend.store.active_in_group(&key).await? {
        None => Ok(()),
        Some(run) => Err(group_busy(&run)),
    }
}

fn group_busy(run: &RunId) -> Problem {
    let detail =
        format!("Run {run} is active, and the pipeline allows one at a time. Wait until it finishes, or cancel it.");
    Problem::new(ProblemCode::GroupBusy, detail)
}

/// # Errors
/// [`ProblemCode::BadRequest`] if the priority is out of bounds.
pub(super) fn check_priority(priority: i32) -> Result<i32, Problem> {
    if (-MAX_PRIORITY..=MAX_PRIORITY).contains(&priority) {
        return Ok(priority);
    }
    let detail = format!("The priority {priority} is out of bounds; give -{MAX_PRIORITY} to {MAX_PRIORITY}.");
    Err(Problem::new(ProblemCode::BadRequest, detail))
}
