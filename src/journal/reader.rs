//! A reader: a cursor, and one loop around it.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;

use super::backend::JournalBackend;
use super::ring::{Encoded, Form, encode};
use super::sync::watch;
use super::tail::{Bell, Tail};
use crate::store::{JournalHead, RunKey, StoreError};

/// How many frames are read from the store at a time: little enough that the read is short and its bytes are few.
pub(super) const PAGE: u32 = if cfg!(test) { 2 } else { 512 };

/// A cursor on a run's journal. Gives every frame after it exactly once, in order, whenever that frame comes.
///
/// Owns no queue: a slow reader just reads older frames later.
pub struct Reader {
    store: Arc<dyn JournalBackend>,
    tail: Arc<Tail>,
    doorbell: watch::Receiver<Bell>,
    run: RunKey,
    cursor: u64,
    form: Form,
    /// The page after the cursor while it is read from the store. It outlives a call of `next` that is given up: who gives up
    /// again and again must come on all the same.
    reading: Option<BoxFuture<'static, Result<Encoded, StoreError>>>,
    /// Readers that share it read from the store one after another.
    turns: Option<Arc<Semaphore>>,
}

/// What a reader gets next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Frames, encoded one after another.
    Frames(Vec<Bytes>),
    /// The run is finished and every frame was given.
    End(JournalHead),
}

impl Reader {
    pub(super) fn new(store: Arc<dyn JournalBackend>, tail: Arc<Tail>, run: RunKey, cursor: u64, form: Form) -> Self {
        let doorbell = tail.listen();
        Self { store, tail, doorbell, run, cursor, form, reading: None, turns: None }
    }

    /// Has it read from the store by turns with all others that `turns` is given to, so that however many they are, one page
    /// of theirs at a time is in memory.
    #[must_use]
    pub fn by_turns(mut self, turns: &Arc<Semaphore>) -> Self {
        self.turns = Some(Arc::clone(turns));
        self
    }

    /// How its frames are written.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// The seq of the last frame given.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Another one of the same run in the same form, which begins where the journal stands.
    #[must_use]
    pub fn at_head(&self) -> Self {
        let (store, tail) = (Arc::clone(&self.store), Arc::clone(&self.tail));
        let head = self.pulse().head;
        Self::new(store, tail, self.run, head, self.form.clone())
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

    /// Where the journal stands, as far as the doorbell has said.
    pub fn pulse(&self) -> JournalHead {
        self.doorbell.borrow().pulse
    }

    /// All that waits after the cursor (from the store: a page of it), or else waits for more.
    ///
    /// Cancel safe: the cursor moves only when frames are given, and what was being read is read on by the next call.
    ///
    /// # Errors
    /// The store could not be read. The cursor stands; the call may be repeated. [`StoreError::Gone`] if the run was deleted.
    pub async fn next(&mut self) -> Result<Step, StoreError> {
        loop {
            // Looked at before the read: a commit after this rings again, and `changed` below then returns at once.
            let Bell { pulse, gone } = *self.doorbell.borrow_and_update();
            if gone {
                return Err(StoreError::Gone);
            }
            if self.cursor < pulse.head {
                let found = match self.tail.after(self.cursor, &self.form) {
                    Some(found) => Ok(found),
                    None => self.page().await,
                };
                // Read, or covered by the memory by now.
                self.reading = None;
                let found = found?;
                self.cursor = found.last;
                return Ok(Step::Frames(found.pieces));
            }
            // The head may be newer than the pulse when a page was read just before its commit was announced.
            if self.cursor == pulse.head && pulse.status.is_finished() {
                return Ok(Step::End(pulse));
            }
            // The sender lives in the tail, which this reader holds; should it be gone, there is nothing to wait for.
            if self.doorbell.changed().await.is_err() {
                return Ok(Step::End(pulse));
            }
        }
    }

    async fn page(&mut self) -> Result<Encoded, StoreError> {
        let Self { store, run, cursor, form, turns, .. } = self;
        let reading = self.reading.get_or_insert_with(|| {
            let (store, turns, run, cursor, form) = (Arc::clone(store), turns.clone(), *run, *cursor, form.clone());
            let read = async move {
                // Never closed, so this is no error.
                let _turn = match &turns {
                    Some(turns) => turns.acquire().await.ok(),
                    None => None,
                };
                page(store, run, cursor, form).await
            };
            read.boxed()
        });
        reading.await
    }
}

async fn page(store: Arc<dyn JournalBackend>, run: RunKey, cursor: u64, form: Form) -> Result<Encoded, StoreError> {
    let (frames, _) = store.frames(run, cursor, PAGE).await?;
    // The journal has no holes up to its head, and the doorbell says that there is more.
    let last = frames.last().map(|frame| frame.seq).ok_or_else(|| StoreError::failed("frames are missing"))?;
    Ok(Encoded { pieces: vec![encode(&frames, &form)], last })
}
