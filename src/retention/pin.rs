//! Pins a run, so that retention keeps it.

use crate::access::Actor;
use crate::journal::WriteError;
use crate::model::audit::AuditAction;
use crate::model::{Problem, Run};
use crate::runs::{Backend, committed_run, run_id, run_not_found};
use crate::store::{PinRun, RunWrite};

/// Pins or unpins a run. Repeating it is harmless.
///
/// # Errors
/// [`Code::RunNotFound`](crate::model::ProblemCode::RunNotFound) for an unknown or deleted run; the database's errors.
pub async fn pin(backend: &Backend, id: &str, pinned: bool, actor: &Actor) -> Result<Run, Problem> {
    let (key, _) = backend.find(id).await?;
    let action = if pinned { AuditAction::RunPin } else { AuditAction::RunUnpin };
    let audit = Some(Box::new(actor.audit_entry(action, Some(run_id(id)?), None)));
    let pin = RunWrite { audit, ..RunWrite::new(PinRun { run: key, pinned }) };
    match backend.journal.write(pin).await {
        // It was deleted since it was found.
        Err(WriteError::Refused) => Err(run_not_found(id)),
        Err(error) => Err(error.into()),
        Ok(committed) => committed_run(committed, id),
    }
}
