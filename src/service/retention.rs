//! Runs that stay, runs that go, and how much room all of them take.

use super::{Service, TRIES, left, no_run};
use crate::journal::WriteError;
use crate::model::{Code, DatabaseHealth, DatabaseUse, Problem, Run};
use crate::store::{Change, Guard, Write};

impl Service {
    /// Has a run stay whatever the rules of retention say, or has it stay no longer. Repeating it is harmless.
    ///
    /// # Errors
    /// [`Code::RunNotFound`]; the database's own.
    pub async fn pin(&self, id: &str, pinned: bool) -> Result<Run, Problem> {
        let (key, _) = self.find(id).await?;
        match self.journal.write(Write::new(key, Guard::There, Change::Pin { pinned })).await {
            // It was deleted meanwhile.
            Err(WriteError::Refused) => Err(no_run(id)),
            Err(error) => Err(error.into()),
            Ok(committed) => left(committed, id),
        }
    }

    /// Deletes a finished run. When this returns nobody sees it any more, though what it has takes a while to go.
    ///
    /// # Errors
    /// [`Code::RunNotFound`]; [`Code::RunActive`]; [`Code::RunPinned`]; the database's own.
    pub async fn delete(&self, id: &str) -> Result<(), Problem> {
        for _ in 0..TRIES {
            let (key, pulse) = self.find(id).await?;
            if pulse.status.is_active() {
                let detail = format!("The run is {}. Wait for its end, or cancel it first.", pulse.status);
                return Err(Problem::new(Code::RunActive, detail));
            }
            if self.store.pin(key).await?.is_some_and(|pin| pin.pinned) {
                return Err(Problem::new(Code::RunPinned, "A pinned run stays. Unpin it first."));
            }
            let change = Change::Delete { id: id.parse().map_err(|_| no_run(id))? };
            match self.journal.write(super::write(key, pulse, change)).await {
                // It was run again, pinned or deleted meanwhile; look again.
                Err(WriteError::Refused) => continue,
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(()),
            }
        }
        Err(WriteError::Refused.into())
    }

    /// Whether the database takes what is written, by what is known: asks nothing of it.
    pub fn health(&self) -> DatabaseHealth {
        DatabaseHealth { outage: self.journal.health().outage() }
    }

    /// How large the database is.
    ///
    /// # Errors
    /// The database's own.
    pub async fn database(&self) -> Result<DatabaseUse, Problem> {
        let (size, counts) = (self.store.size().await?, self.store.counts().await?);
        Ok(DatabaseUse { size, runs: counts.iter().map(|(_, runs)| runs).sum() })
    }
}
