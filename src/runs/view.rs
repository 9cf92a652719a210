//! One run: by itself, or with the part of its journal that its page shows first.

use super::frames::load_redraws;
use super::{Backend, run_id, run_not_found, shortages};
use crate::model::{FrameRecord, Problem, Run, RunView, Status};
use crate::store::{StoredView, ViewBounds};

/// The most frames in the first view of a page.
pub(super) const VIEW_FRAMES: u32 = 200;

/// The most bytes of frames in the first view. The page contains them twice: as rows, and as data for the browser.
const MAX_VIEW_BYTES: usize = 256 * 1024;

/// A run.
///
/// # Errors
/// [`Code::RunNotFound`](crate::model::ProblemCode::RunNotFound) for an unknown or deleted run; the database's errors.
pub async fn get(backend: &Backend, id: &str) -> Result<Run, Problem> {
    let (key, _) = backend.find(id).await?;
    let mut run = backend.store.run(key).await?.ok_or_else(|| run_not_found(id))?;
    if run.status == Status::Pending {
        run.waiting_for = shortages(backend).await?.remove(&run.id);
    }
    Ok(run)
}

/// A run with the newest frames of its journal, or with those around the frame `at`, if there is one.
///
/// # Errors
/// [`Code::RunNotFound`](crate::model::ProblemCode::RunNotFound) for an unknown or deleted run; the database's errors.
pub async fn view(backend: &Backend, id: &str, at: Option<u64>) -> Result<RunView, Problem> {
    let id = run_id(id)?;
    let bounds = ViewBounds { max_frames: VIEW_FRAMES, max_bytes: MAX_VIEW_BYTES, at };
    let StoredView { key, run, frames, review_counts, earlier, starts } =
        backend.store.view(&id, bounds).await?.ok_or_else(|| run_not_found(id.as_str()))?;
    let (frames, redraws) = load_redraws(&backend.store, key, frames).await?;
    let parse = |records: Vec<FrameRecord>| records.iter().map(FrameRecord::to_frame).collect();
    Ok(RunView { run, frames: parse(frames), redraws: parse(redraws), at, review_counts, earlier, starts })
}
