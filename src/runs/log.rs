//! The log in its final form: each row once, however often a command redrew it.

use std::collections::HashMap;
use std::sync::Arc;

use super::Backend;
use super::frames::read_after;
use crate::model::{FrameRecord, Problem};
use crate::store::{RunKey, Store, StoreError};

/// Frames after a cursor, each row of the log with its latest text, and the seq up to which they are complete. Redraws
/// are left out.
///
/// # Errors
/// As [`frames`](super::frames).
pub async fn final_log(
    backend: &Backend,
    id: &str,
    after: u64,
    limit: u32,
) -> Result<(Vec<FrameRecord>, u64), Problem> {
    let (run, frames, _) = read_after(backend, id, Some(&after.to_string()), Some(limit)).await?;
    let until = frames.last().map_or(after, |frame| frame.seq);
    Ok(apply_redraws(&backend.store, run, frames, after, until).await?)
}

/// Takes frames with a seq after `after`, up to `until`. Replaces the text of each redrawn row by its latest one and
/// drops the redraws. Also returns the seq up to which the result is complete: less than `until` if the redraws are
/// large.
pub async fn apply_redraws(
    store: &Store,
    run: RunKey,
    mut frames: Vec<FrameRecord>,
    after: u64,
    until: u64,
) -> Result<(Vec<FrameRecord>, u64), StoreError> {
    let (redrawn, until) = store.redrawn_rows(run, after, until).await?;
    let redrawn: HashMap<u64, FrameRecord> = redrawn.into_iter().collect();
    frames.retain(|frame| frame.seq <= until && frame.replaces().is_none());
    for frame in &mut frames {
        if let Some(latest) = redrawn.get(&frame.seq) {
            frame.data = Arc::clone(&latest.data);
        }
    }
    Ok((frames, until))
}
