//! Runs that stay, runs that go, and how much room all of them take.

use super::{Actor, Service, TRIES, left, no_run, run_id};
use crate::journal::WriteError;
use crate::model::audit::AuditAction;
use crate::model::{DatabaseHealth, DatabaseUsage, Problem, ProblemCode, Run};
use crate::store::{DeleteRun, PinRun, RunWrite};

impl Service {
    /// Has a run stay whatever the rules of retention say, or has it stay no longer. Repeating it is harmless.
    ///
    /// # Errors
    /// [`ProblemCode::RunNotFound`]; the database's own.
    pub async fn pin(&self, id: &str, pinned: bool, by: &Actor) -> Result<Run, Problem> {
        let (key, _) = self.find(id).await?;
        let action = if pinned { AuditAction::RunPin } else { AuditAction::RunUnpin };
        let audit = Some(Box::new(by.note(action, Some(run_id(id)?), None)));
        let pin = RunWrite { audit, ..RunWrite::new(PinRun { run: key, pinned }) };
        match self.journal.write(pin).await {
            // It was deleted meanwhile.
            Err(WriteError::Refused) => Err(no_run(id)),
            Err(error) => Err(error.into()),
            Ok(committed) => left(committed, id),
        }
    }

    /// Deletes a finished run. When this returns nobody sees it any more, though what it has takes a while to go.
    ///
    /// # Errors
    /// [`ProblemCode::RunNotFound`]; [`ProblemCode::RunActive`]; [`ProblemCode::RunPinned`]; the database's own.
    pub async fn delete(&self, id: &str, by: &Actor) -> Result<(), Problem> {
        let run = run_id(id)?;
        let pipeline = self.show(id).await?.pipeline;
        let audit = Some(Box::new(by.note(AuditAction::RunDelete, Some(run.clone()), Some(pipeline))));
        for _ in 0..TRIES {
            let (key, pulse) = self.find(id).await?;
            if pulse.status.is_active() {
                let detail = format!("The run is {}. Wait for its end, or cancel it first.", pulse.status);
                return Err(Problem::new(ProblemCode::RunActive, detail));
            }
            if self.store.pin(key).await?.is_some_and(|pin| pin.pinned) {
                return Err(Problem::new(ProblemCode::RunPinned, "A pinned run stays. Unpin it first."));
            }
            let delete = DeleteRun { run: key, id: run.clone(), status: pulse.status, attempt: pulse.attempt };
            let write = RunWrite { audit: audit.clone(), ..RunWrite::new(delete) };
            match self.journal.write(write).await {
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
    pub async fn database(&self) -> Result<DatabaseUsage, Problem> {
        let (size, counts) = (self.store.size().await?, self.store.status_counts().await?);
        Ok(DatabaseUsage { size, runs: counts.iter().map(|(_, runs)| runs).sum() })
    }
}
