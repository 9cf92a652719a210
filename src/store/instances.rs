//! The reads of a [`Store`] that are about the programs that share its database: which there are, and which runs each
//! may take.

use super::queries::{instances, queue};
use super::{Claimant, DecidedRun, ExecutedRun, RunKey, Store, StoreError, StoredInstance};
use crate::model::placement::PendingRun;

impl Store {
    /// Up to `limit` runs that the instance may claim, in the order in which they are claimed, each with its attempt.
    pub async fn claimable(&self, by: &Claimant, limit: u32) -> Result<Vec<(RunKey, u32)>, StoreError> {
        self.reads().all("claimable", queue::claimable(by, limit)).await
    }

    /// Up to `limit` runs that waited for a person and were answered, or are to be cancelled, and that the instance may
    /// take up: those first that only end.
    pub async fn decided(&self, by: &Claimant, limit: u32) -> Result<Vec<DecidedRun>, StoreError> {
        self.reads().all("decided", queue::decided(by, limit)).await
    }

    /// All instances that are not forgotten, with what they offer, by name.
    pub async fn instances(&self) -> Result<Vec<StoredInstance>, StoreError> {
        self.reads().snapshot("instances", async move |mut db| instances::all(&mut db).await).await
    }

    /// The runs that instances execute.
    pub async fn executed_runs(&self) -> Result<Vec<ExecutedRun>, StoreError> {
        self.reads().all("executed_runs", instances::executed_runs()).await
    }

    /// The first pending runs in the order in which they are claimed, and runs that were approved, with what they need.
    pub async fn pending_runs(&self) -> Result<Vec<PendingRun>, StoreError> {
        self.reads().snapshot("pending_runs", async move |mut db| instances::pending_runs(&mut db).await).await
    }

    /// Folders that pending runs need.
    pub async fn needed_folders(&self) -> Result<Vec<String>, StoreError> {
        self.reads().all("needed_folders", instances::needed_folders()).await
    }
}
