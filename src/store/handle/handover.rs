//! Reads of a server that takes over the runs of an earlier one.

use super::Store;
use crate::store::queries::handover;
use crate::store::{Claim, RunKey, StoreError, StoredSupervisor};

impl Store {
    /// The claim in force of a running run that does not wait for a person.
    pub async fn claim(&self, run: RunKey) -> Result<Option<Claim>, StoreError> {
        self.reads.first("claim", handover::claim(run)).await
    }

    /// The supervisors of an attempt's commands.
    pub async fn supervisors(&self, run: RunKey, attempt: u32) -> Result<Vec<StoredSupervisor>, StoreError> {
        self.reads.all("supervisors", handover::supervisors(run, attempt)).await
    }
}
