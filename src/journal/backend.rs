//! What the journal needs of a database.

use async_trait::async_trait;

use crate::model::{FrameRecord, Run};
use crate::store::{JournalHead, RunKey, Store, StoreCommand, StoreError, WriteOutcome};

/// Where journals are written to and read from: the [`Store`], but for tests.
#[async_trait]
pub trait JournalBackend: Send + Sync {
    /// Carries out commands in order, in one durable transaction, each accepted or refused by its own precondition.
    ///
    /// # Errors
    /// Nothing at all was written.
    async fn commit(&self, commands: &[StoreCommand]) -> Result<Vec<WriteOutcome>, StoreError>;

    /// The head of a run's journal.
    ///
    /// # Errors
    /// [`StoreError::Gone`] if the run is unknown or deleted; the database's own.
    async fn head(&self, run: RunKey) -> Result<JournalHead, StoreError>;

    /// Frames after the seq `after`, in order, and the journal's head: up to `limit`, fewer if they are large, but at
    /// least one if there is one.
    ///
    /// # Errors
    /// As [`Self::head`].
    async fn frames(&self, run: RunKey, after: u64, limit: u32) -> Result<(Vec<FrameRecord>, JournalHead), StoreError>;

    /// The run. `None` if it is unknown or deleted.
    ///
    /// # Errors
    /// The database's own.
    async fn run(&self, run: RunKey) -> Result<Option<Run>, StoreError>;

    /// Frees the space that is reserved for a full disk. Returns whether there was any.
    async fn release_reserve(&self) -> bool {
        false
    }

    /// Reserves it again: see [`Store::restore_reserve`].
    async fn restore_reserve(&self, _does_output_wait: bool) -> bool {
        true
    }
}

#[async_trait]
impl JournalBackend for Store {
    async fn commit(&self, commands: &[StoreCommand]) -> Result<Vec<WriteOutcome>, StoreError> {
        Self::commit(self, commands).await
    }

    async fn head(&self, run: RunKey) -> Result<JournalHead, StoreError> {
        Self::head(self, run).await
    }

    async fn frames(&self, run: RunKey, after: u64, limit: u32) -> Result<(Vec<FrameRecord>, JournalHead), StoreError> {
        Self::frames(self, run, after, limit).await
    }

    async fn run(&self, run: RunKey) -> Result<Option<Run>, StoreError> {
        Self::run(self, run).await
    }

    async fn release_reserve(&self) -> bool {
        Self::release_reserve(self).await
    }

    async fn restore_reserve(&self, does_output_wait: bool) -> bool {
        Self::restore_reserve(self, does_output_wait).await
    }
}
