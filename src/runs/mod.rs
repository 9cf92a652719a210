//! What can be asked for: start, re-run, cancel, list, read. The dashboard's server functions and the JSON API are both
//! thin layers over this; it knows no HTTP.

mod actor;
mod approval;
mod attempts;
mod compare;
mod forms;
mod hooks;
mod log;
mod page;
mod queue;
mod retention;
mod review;
mod schedules;
mod secrets;
mod start;
mod triggers;

pub use actor::{Actor, DONE, refusal};
pub use approval::Reply;
pub use forms::SentForm;
pub use hooks::{HookAnswer, told_again};
pub use schedules::ScheduleTask;
pub use start::{Asked, Begin};

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::journal::{Form, Journal, Reader, WriteError};
use crate::model::audit::AuditAction;
use crate::model::{
    Cursor, FrameRecord, Pipeline, Problem, ProblemCode, Run, RunFilter, RunId, RunPage, RunView, StartOptions, Status,
};
use crate::pipelines::{Catalog, Projects};
use crate::store::{
    CancelPending, Committed, JournalHead, RequestCancel, RunKey, RunWrite, Store, StoreError, StoredView, ViewBounds,
};

pub use page::Page;
use page::last_redraws;

/// Runs a page of the list holds if nothing else is asked for, and the most that may be asked for.
const LIST: (u32, u32) = (50, 200);

/// Frames a poll brings if nothing else is asked for, and the most that may be asked for.
const POLL: (u32, u32) = (1000, 5000);

/// How many frames a run's page shows first.
const TAIL: u32 = 200;

/// The most bytes of frames that a run's page shows first. The page has them twice: as rows, and as data for the browser.
const VIEW_BYTES: usize = 256 * 1024;

/// When what runs is killed, of a run that is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// When it was asked to end and has not for the grace time.
    AfterGrace,
    /// The same; but at once if somebody has asked for the end before.
    IfAskedBefore,
    /// At once.
    AtOnce,
}

impl Kill {
    const fn is_forced(self, is_asked: bool) -> bool {
        match self {
            Self::AfterGrace => false,
            Self::IfAskedBefore => is_asked,
            Self::AtOnce => true,
        }
    }
}

/// How often a change is tried anew when the run changed in between.
const TRIES: usize = 5;

/// What can be asked for. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    /// Where runs are kept.
    pub store: Store,
    /// What writes and reads their journals.
    pub journal: Journal,
    /// What carries them out.
    pub engine: Engine,
    /// The pipelines there are.
    pub catalog: Catalog,
    /// The folders they may work in.
    pub projects: Arc<Projects>,
    /// How many runs may wait for a worker.
    pub max_queued: u32,
    /// Whether hooks can be called from other machines.
    pub is_exposed: bool,
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Gone) {
            return Self::new(ProblemCode::RunNotFound, "The run was deleted.");
        }
        match error {
            StoreError::Full(_) => {
                let detail =
                    "There is no room for it on the disk of the database. Free some, or delete runs, and try again.";
                return Self::new(ProblemCode::DiskFull, detail);
            }
            StoreError::Locked(_) => {
                let detail = "Another program has locked the database. Nothing was done. Try again in a moment.";
                return Self::new(ProblemCode::DatabaseUnavailable, detail);
            }
            _ => tracing::error!(%error, "the database did not do as asked"),
        }
        if error.is_retryable() {
            let detail = "The database is busy or away. Nothing was done. Try again in a moment.";
            return Self::new(ProblemCode::DatabaseUnavailable, detail);
        }
        // What went wrong inside is for the server's log, not for the reader.
        Self::new(ProblemCode::Internal, "The database failed. The server's log says more.")
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Store(error) => error.into(),
            WriteError::Closed => {
                Self::new(ProblemCode::ShuttingDown, "The server is stopping. Try again in a moment.")
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
                let detail = "The run changed several times while the request was carried out. Try again.";
                Self { retryable: true, ..Self::new(ProblemCode::RunActive, detail) }
            }
        }
    }
}

/// A number a caller may give, within its bounds.
fn bounded(given: Option<u32>, (usual, most): (u32, u32)) -> Result<u32, Problem> {
    match given {
        None => Ok(usual),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(limit) => {
            Err(Problem::new(ProblemCode::BadRequest, format!("The limit {limit} is out of bounds; give 1 to {most}.")))
        }
    }
}

/// The id of a run that is asked for by this text.
///
/// # Errors
/// [`ProblemCode::RunNotFound`], if no run can have it.
pub fn run_id(id: &str) -> Result<RunId, Problem> {
    id.parse().map_err(|_| no_run(id))
}

fn no_run(id: &str) -> Problem {
    Problem::new(ProblemCode::RunNotFound, format!("There is no run `{id}`."))
}

impl Service {
    /// What the start form is made from.
    ///
    /// # Errors
    /// None yet.
    pub fn offer(&self) -> Result<StartOptions, Problem> {
        let mut faults = self.catalog.faults();
        faults.extend(self.schedule_faults());
        faults.extend(self.hook_faults());
        Ok(StartOptions {
            pipelines: self.catalog.all(),
            faults,
            projects: self.projects.roots().to_vec(),
            upcoming: self.upcoming(),
        })
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// [`ProblemCode::BadRequest`] for a limit out of bounds or a `before` that is no run's id; the database's own.
    pub async fn list(&self, filter: &RunFilter) -> Result<RunPage, Problem> {
        let limit = bounded(filter.limit, LIST)?;
        let before = match filter.before.as_deref().filter(|before| !before.is_empty()) {
            None => None,
            Some(before) => {
                let fault = |_| Problem::new(ProblemCode::BadRequest, format!("`{before}` is no place in the list."));
                Some(before.parse().map_err(fault)?)
            }
        };
        let (runs, next) = self.store.list(filter, limit, before.as_ref()).await?;
        Ok(RunPage { runs, next: next.map(String::from) })
    }

    /// A run.
    ///
    /// # Errors
    /// [`ProblemCode::RunNotFound`]; the database's own.
    pub async fn show(&self, id: &str) -> Result<Run, Problem> {
        let (key, _) = self.find(id).await?;
        self.store.run(key).await?.ok_or_else(|| no_run(id))
    }

    /// A run and the newest frames of its journal, or those around the frame `at`, if there is one.
    ///
    /// # Errors
    /// [`ProblemCode::RunNotFound`]; the database's own.
    pub async fn view(&self, id: &str, at: Option<u64>) -> Result<RunView, Problem> {
        let id = run_id(id)?;
        let part = ViewBounds { max_frames: TAIL, max_bytes: VIEW_BYTES, at };
        let StoredView { key, run, frames, review_counts, earlier, starts } =
            self.store.view(&id, part).await?.ok_or_else(|| no_run(id.as_str()))?;
        let (frames, redraws) = last_redraws(&self.store, key, frames).await?;
        let read = |records: Vec<FrameRecord>| records.iter().map(FrameRecord::to_frame).collect();
        Ok(RunView { run, frames: read(frames), redraws: read(redraws), at, review_counts, earlier, starts })
    }

    /// A reader of a run's journal that gives frames in this form, and where the journal stood. Starts nothing.
    ///
    /// # Errors
    /// [`ProblemCode::RunNotFound`], [`ProblemCode::CursorAhead`]; the database's own.
    pub async fn read(&self, run: &RunId, cursor: Cursor, form: Form) -> Result<(Reader, JournalHead), Problem> {
        let (key, pulse) = self.store.find(run).await?.ok_or_else(|| no_run(run.as_str()))?;
        let reader = self.journal.read(key, cursor.0, pulse, form).await?;
        let pulse = reader.pulse();
        cursor.check_not_ahead(pulse.head)?;
        Ok((reader, pulse))
    }

    /// Asks for the end of an active run: what runs gets SIGTERM, and SIGKILL after the grace time, or at once if it was asked for
    /// before.
    ///
    /// # Errors
    /// [`ProblemCode::RunNotFound`], [`ProblemCode::RunFinished`]; the database's own.
    pub async fn cancel(&self, id: &str, by: &Actor, kill: Kill) -> Result<Run, Problem> {
        let audit = Box::new(by.note(AuditAction::RunCancel, Some(run_id(id)?), None));
        let by = by.to_string();
        for _ in 0..TRIES {
            let (key, pulse) = self.find(id).await?;
            let mut force = false;
            let done = match pulse.status {
                Status::Pending => {
                    let run = self.store.run(key).await?.ok_or_else(|| no_run(id))?;
                    let Some(cancel) = CancelPending::write(key, &run, &by) else { continue };
                    self.journal.write(RunWrite { audit: Some(audit.clone()), ..cancel }).await
                }
                Status::Running => {
                    let run = self.store.run(key).await?.ok_or_else(|| no_run(id))?;
                    // It may have ended since: then nothing may be asked of it any more.
                    if run.status != Status::Running {
                        continue;
                    }
                    force = kill.is_forced(run.cancel.is_some());
                    if run.cancel.as_ref().is_some_and(|cancel| !force || !cancel.can_be_forced()) {
                        // What is asked for is happening.
                        self.engine.cancel(key, force);
                        return Ok(run);
                    }
                    let grace = if force { Duration::ZERO } else { self.engine.grace() };
                    let ask = RequestCancel::write(key, &run, by.clone(), grace, force);
                    self.journal.write(RunWrite { audit: Some(audit.clone()), ..ask }).await
                }
                Status::Completed | Status::Failed | Status::Cancelled | Status::Interrupted => {
                    let detail = format!("The run is {} already; there is nothing to cancel.", pulse.status);
                    return Err(Problem::new(ProblemCode::RunFinished, detail));
                }
            };
            match done {
                Err(WriteError::Refused) => continue,
                Err(error) => return Err(error.into()),
                Ok(committed) => {
                    self.engine.cancel(key, force);
                    return left(committed, id);
                }
            }
        }
        Err(WriteError::Refused.into())
    }

    async fn find(&self, id: &str) -> Result<(RunKey, JournalHead), Problem> {
        let run: RunId = id.parse().map_err(|_| no_run(id))?;
        self.store.find(&run).await?.ok_or_else(|| no_run(id))
    }

    fn pipeline(&self, name: &str) -> Result<Arc<Pipeline>, Problem> {
        self.catalog.get(name).ok_or_else(|| {
            let known: Vec<String> = self.catalog.all().into_iter().map(|pipeline| pipeline.name).collect();
            let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
            Problem::new(ProblemCode::PipelineNotFound, format!("There is no pipeline `{name}`; known: {known}."))
        })
    }
}

/// The answer to who asked for a write: the run as it left it. Looked at again, it could be gone by a rule of retention.
fn left(committed: Committed, id: &str) -> Result<Run, Problem> {
    committed.run_after.map(|run| *run).ok_or_else(|| no_run(id))
}
