//! Who waits for a worker, and for whom.

use super::{Service, TRIES};
use crate::journal::WriteError;
use crate::model::queue::{BusyPolicy, ConcurrencyGroup, MAX_PRIORITY, Queue};
use crate::model::{Problem, ProblemCode, RunId};
use crate::store::{CreateRun, Created};

/// How many runs of the queue are told.
const MOST: u32 = 1000;

impl Service {
    /// The runs that wait for a worker, in the order in which they are taken.
    ///
    /// # Errors
    /// The database's own.
    pub async fn queue(&self) -> Result<Queue, Problem> {
        let (total, waiting) = self.store.queue(MOST).await?;
        Ok(Queue { workers: self.engine.workers(), busy: self.engine.busy(), total, waiting })
    }

    /// Writes a new run, unless its group is busy and refuses it, or too many wait.
    pub(super) async fn create(&self, new: CreateRun) -> Result<Created, Problem> {
        for _ in 0..TRIES {
            match self.journal.create(new.clone()).await {
                Err(WriteError::Refused) => self.check_group(new.pipeline.group(&new.params)).await?,
                created => return Ok(created?),
            }
            // What was in the way has ended meanwhile.
        }
        Err(WriteError::Refused.into())
    }

    /// # Errors
    /// [`ProblemCode::TooManyQueued`], if no more runs may wait. Those that begin to at the same moment may be a few more.
    pub(super) async fn check_queue(&self) -> Result<(), Problem> {
        let (waiting, _) = self.store.queue(1).await?;
        if waiting < u64::from(self.max_queued) { Ok(()) } else { Err(WriteError::QueueFull.into()) }
    }

    /// # Errors
    /// [`ProblemCode::GroupBusy`], if the group is busy and refuses runs meanwhile.
    pub(super) async fn check_group(&self, group: Option<ConcurrencyGroup>) -> Result<(), Problem> {
        let Some(ConcurrencyGroup { key, when_busy: BusyPolicy::Refuse }) = group else { return Ok(()) };
        match self.store.active_in_group(&key).await? {
            None => Ok(()),
            Some(run) => Err(busy(&run)),
        }
    }
}

fn busy(run: &RunId) -> Problem {
    let detail = format!(
        "The run {run} is active, and the pipeline refuses another one meanwhile. Wait for its end, or cancel it."
    );
    Problem::new(ProblemCode::GroupBusy, detail)
}

/// A priority that somebody asks for.
///
/// # Errors
/// [`ProblemCode::BadRequest`], if it is out of bounds.
pub(super) fn check_priority(priority: i32) -> Result<i32, Problem> {
    if (-MAX_PRIORITY..=MAX_PRIORITY).contains(&priority) {
        return Ok(priority);
    }
    let detail = format!("The priority {priority} is out of bounds; give -{MAX_PRIORITY} to {MAX_PRIORITY}.");
    Err(Problem::new(ProblemCode::BadRequest, detail))
}
