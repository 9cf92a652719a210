//! Reads one run's journal from a cursor: from memory where the ring covers it, else from the store.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;

use super::backend::JournalBackend;
use super::live_runs::{HeadNotification, LiveRun};
use super::ring::{EncodedFrames, FrameEncoding, encode};
use super::sync::watch;
use crate::store::{JournalHead, RunKey, StoreError};

/// A cursor on a run's journal. It returns every later frame exactly once, in order.
///
/// It has no queue: a slow reader reads older frames later.
pub struct Reader {
    store: Arc<dyn JournalBackend>,
    live_run: Arc<LiveRun>,
    notifications: watch::Receiver<HeadNotification>,
    run: RunKey,
    cursor: u64,
    encoding: FrameEncoding,
    /// The read of the next page. It survives a cancelled `next`: a caller that cancels again and again still makes
    /// progress.
    page_read: Option<BoxFuture<'static, Result<EncodedFrames, StoreError>>>,
    /// Readers with the same semaphore read from the store one at a time.
    read_permit: Option<Arc<Semaphore>>,
}

/// The store has fewer frames than the head says.
#[derive(Debug, thiserror::Error)]
#[error("the database has no frame after seq {after}, although the head of the run is later")]
struct MissingFrames {
    after: u64,
}

/// What a reader returns.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadStep {
    /// Encoded frames, in order.
    Frames(Vec<Bytes>),
    /// The run is finished, and all of its frames were returned.
    End(JournalHead),
}

impl Reader {
    pub(super) fn new(
        store: Arc<dyn JournalBackend>,
        live_run: Arc<LiveRun>,
        run: RunKey,
        cursor: u64,
        encoding: FrameEncoding,
    ) -> Self {
        let notifications = live_run.notifications();
        Self { store, live_run, notifications, run, cursor, encoding, page_read: None, read_permit: None }
    }

    /// Takes a permit of this semaphore for each read from the store. With one permit for many readers, one page of all
    /// their runs is in memory at a time.
    #[must_use]
    pub fn share_read_permit(mut self, permit: &Arc<Semaphore>) -> Self {
        self.read_permit = Some(Arc::clone(permit));
        self
    }

    pub fn encoding(&self) -> &FrameEncoding {
        &self.encoding
    }

    /// The seq of the last frame returned.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// A new reader of the same run with the same encoding, whose cursor is the head.
    #[must_use]
    pub fn at_head(&self) -> Self {
        let (store, live_run) = (Arc::clone(&self.store), Arc::clone(&self.live_run));
        let head = self.head().head;
        Self::new(store, live_run, self.run, head, self.encoding.clone())
    }

    /// Whether [`Self::next`] would wait for new frames.
    pub fn is_at_head(&self) -> bool {
        let head = self.head();
        self.cursor >= head.head && !head.status.is_finished()
    }

    /// Moves the cursor forward to frames that were received in another way.
    pub fn skip_to(&mut self, cursor: u64) {
        if cursor > self.cursor {
            self.cursor = cursor;
            self.page_read = None;
        }
    }

    /// The last head that this reader was notified of.
    pub fn head(&self) -> JournalHead {
        self.notifications.borrow().head
    }

    /// Returns the frames after the cursor (from the store: at most a page), or waits for new ones.
    ///
    /// Cancel safe: the cursor moves only when frames are returned, and the next call continues a read that was
    /// cancelled.
    ///
    /// # Errors
    /// The store could not be read: the cursor has not moved, and the call may be repeated. [`StoreError::Gone`] if the
    /// run was deleted.
    pub async fn next(&mut self) -> Result<ReadStep, StoreError> {
        loop {
            // Marked as seen before the read: a commit after this line notifies again, and `changed` below returns at
            // once.
            let HeadNotification { head, is_deleted } = *self.notifications.borrow_and_update();
            if is_deleted {
                return Err(StoreError::Gone);
            }
            if self.cursor < head.head {
                let found = match self.live_run.after(self.cursor, &self.encoding) {
                    Some(found) => Ok(found),
                    None => self.read_page().await,
                };
                // The read has completed, or the ring has made it unnecessary.
                self.page_read = None;
                let found = found?;
                self.cursor = found.last;
                return Ok(ReadStep::Frames(found.chunks));
            }
            // A page may include commits that are not published yet, so the cursor may be beyond the head.
            if self.cursor == head.head && head.status.is_finished() {
                return Ok(ReadStep::End(head));
            }
            // The live run owns the sender and this reader the live run, so the channel cannot close.
            if self.notifications.changed().await.is_err() {
                return Ok(ReadStep::End(head));
            }
        }
    }

    async fn read_page(&mut self) -> Result<EncodedFrames, StoreError> {
        let Self { store, live_run, run, cursor, encoding, read_permit, .. } = self;
        let read = self.page_read.get_or_insert_with(|| {
            let (store, permit, encoding) = (Arc::clone(store), read_permit.clone(), encoding.clone());
            let (run, cursor, page_frames) = (*run, *cursor, live_run.page_frames());
            let read = async move {
                // The semaphore is never closed.
                let _permit = match &permit {
                    Some(permit) => permit.acquire().await.ok(),
                    None => None,
                };
                read_page(store, run, cursor, page_frames, encoding).await
            };
            read.boxed()
        });
        read.await
    }
}

async fn read_page(
    store: Arc<dyn JournalBackend>,
    run: RunKey,
    cursor: u64,
    page_frames: u32,
    encoding: FrameEncoding,
) -> Result<EncodedFrames, StoreError> {
    let (frames, _) = store.frames(run, cursor, page_frames).await?;
    // Seqs are dense up to the head, and the head is beyond the cursor.
    let missing = || StoreError::Failed(Arc::new(MissingFrames { after: cursor }));
    let last = frames.last().map(|frame| frame.seq).ok_or_else(missing)?;
    Ok(EncodedFrames { chunks: vec![encode(&frames, &encoding)], last })
}
