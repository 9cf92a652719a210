//! A reader: a cursor, and one loop around it.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;

use super::live_runs::{HeadNotification, LiveRun};
use super::ring::{EncodedFrames, FrameEncoding, encode};
use super::sync::watch;
use crate::store::{Pulse, RunKey, Store, StoreError};

/// How many frames are read from the store at a time: little enough that the read is short and its bytes are few.
pub(super) const PAGE: u32 = if cfg!(test) { 2 } else { 512 };

/// A cursor on a run's journal. Gives every frame after it exactly once, in order, whenever that frame comes.
///
/// Owns no queue: a slow reader just reads older frames later.
pub struct Reader {
    store: Arc<dyn Store>,
    live_run: Arc<LiveRun>,
    notifications: watch::Receiver<HeadNotification>,
    run: RunKey,
    cursor: u64,
    encoding: FrameEncoding,
    /// The page after the cursor while it is read from the store. It outlives a call of `next` that is given up: who gives up
    /// again and again must come on all the same.
    reading: Option<BoxFuture<'static, Result<EncodedFrames, StoreError>>>,
    /// Readers that share it read from the store one after another.
    read_permits: Option<Arc<Semaphore>>,
}

/// What a reader gets next.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadStep {
    /// Frames, encoded one after another.
    Frames(Vec<Bytes>),
    /// The run is finished and every frame was given.
    End(Pulse),
}

impl Reader {
    pub(super) fn new(
        store: Arc<dyn Store>,
        live_run: Arc<LiveRun>,
        run: RunKey,
        cursor: u64,
        encoding: FrameEncoding,
    ) -> Self {
        let notifications = live_run.notifications();
        Self { store, live_run, notifications, run, cursor, encoding, reading: None, read_permits: None }
    }

    /// Has it read from the store by read_permits with all others that `read_permits` is given to, so that however many they are, one page
    /// of theirs at a time is in memory.
    #[must_use]
    pub fn share_read_permit(mut self, read_permits: &Arc<Semaphore>) -> Self {
        self.read_permits = Some(Arc::clone(read_permits));
        self
    }

    /// How its frames are written.
    pub fn encoding(&self) -> &FrameEncoding {
        &self.encoding
    }

    /// The seq of the last frame given.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Another one of the same run in the same encoding, which begins where the journal stands.
    #[must_use]
    pub fn at_head(&self) -> Self {
        let (store, live_run) = (Arc::clone(&self.store), Arc::clone(&self.live_run));
        let head = self.pulse().head;
        Self::new(store, live_run, self.run, head, self.encoding.clone())
    }

    /// Whether [`Self::next`] would wait for the run to go on.
    pub fn is_at_head(&self) -> bool {
        let pulse = self.pulse();
        self.cursor >= pulse.head && !pulse.status.is_finished()
    }

    /// What comes before has been read elsewhere.
    pub fn skip_to(&mut self, cursor: u64) {
        if cursor > self.cursor {
            self.cursor = cursor;
            self.reading = None;
        }
    }

    /// Where the journal stands, as far as the notifications has said.
    pub fn pulse(&self) -> Pulse {
        self.notifications.borrow().head
    }

    /// All that waits after the cursor (from the store: a page of it), or else waits for more.
    ///
    /// Cancel safe: the cursor moves only when frames are given, and what was being read is read on by the next call.
    ///
    /// # Errors
    /// The store could not be read. The cursor stands; the call may be repeated. [`StoreError::Gone`] if the run was deleted.
    pub async fn next(&mut self) -> Result<ReadStep, StoreError> {
        loop {
            // Looked at before the read: a commit after this rings again, and `changed` below then returns at once.
            let HeadNotification { head: pulse, is_deleted } = *self.notifications.borrow_and_update();
            if is_deleted {
                return Err(StoreError::Gone);
            }
            if self.cursor < pulse.head {
                let found = match self.live_run.after(self.cursor, &self.encoding) {
                    Some(found) => Ok(found),
                    None => self.page().await,
                };
                // Read, or covered by the memory by now.
                self.reading = None;
                let found = found?;
                self.cursor = found.last;
                return Ok(ReadStep::Frames(found.chunks));
            }
            // The head may be newer than the pulse when a page was read just before its commit was announced.
            if self.cursor == pulse.head && pulse.status.is_finished() {
                return Ok(ReadStep::End(pulse));
            }
            // The sender lives in the live_run, which this reader holds; should it be gone, there is nothing to wait for.
            if self.notifications.changed().await.is_err() {
                return Ok(ReadStep::End(pulse));
            }
        }
    }

    async fn page(&mut self) -> Result<EncodedFrames, StoreError> {
        let Self { store, run, cursor, encoding, read_permits, .. } = self;
        let reading = self.reading.get_or_insert_with(|| {
            let (store, read_permits, run, cursor, encoding) =
                (Arc::clone(store), read_permits.clone(), *run, *cursor, encoding.clone());
            let read = async move {
                // Never closed, so this is no error.
                let _permit = match &read_permits {
                    Some(read_permits) => read_permits.acquire().await.ok(),
                    None => None,
                };
                page(store, run, cursor, encoding).await
            };
            read.boxed()
        });
        reading.await
    }
}

async fn page(
    store: Arc<dyn Store>,
    run: RunKey,
    cursor: u64,
    encoding: FrameEncoding,
) -> Result<EncodedFrames, StoreError> {
    let (frames, _) = store.frames(run, cursor, PAGE).await?;
    // The journal has no holes up to its head, and the notifications says that there is more.
    let last =
        frames.last().map(|frame| frame.seq).ok_or_else(|| StoreError::Failed(Arc::new(sqlx::Error::RowNotFound)))?;
    Ok(EncodedFrames { chunks: vec![encode(&frames, &encoding)], last })
}
