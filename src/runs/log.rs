//! A log as it is in the end: each row once, however often it was drawn anew.

use std::collections::HashMap;
use std::sync::Arc;

use super::Service;
use crate::model::{FrameRecord, Problem};
use crate::store::{RunKey, Store, StoreError};

impl Service {
    /// Frames after a cursor as [`Service::frames`] gives them, each row of the log as it is now, and up to which seq these are all
    /// there are. Frames that replace others are left out.
    ///
    /// # Errors
    /// As [`Service::frames`].
    pub async fn settled(&self, id: &str, after: u64, limit: u32) -> Result<(Vec<FrameRecord>, u64), Problem> {
        let (run, frames, _) = self.frames_after(id, Some(&after.to_string()), Some(limit)).await?;
        let until = frames.last().map_or(after, |frame| frame.seq);
        Ok(settle(&self.store, run, frames, after, until).await?)
    }
}

/// Frames with a seq after `after`, up to `until`, each row of the log as it is now: without those that replace others, and each that is
/// replaced with the text of the last one that does. And up to which seq they are all there are: fewer if they are large.
pub async fn settle(
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
        if let Some(now) = redrawn.get(&frame.seq) {
            frame.data = Arc::clone(&now.data);
        }
    }
    Ok((frames, until))
}
