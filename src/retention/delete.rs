//! Deletes a run for a person. The task purges what it leaves.

use crate::access::Actor;
use crate::model::audit::AuditAction;
use crate::model::{Problem, ProblemCode, RunId};
use crate::runs::{Backend, ChangeError, get, retry_on_conflict, run_id};
use crate::store::{DeleteRun, NewAudit, RunWrite};

/// Deletes a finished run. It is invisible when this returns; its data is removed later.
///
/// # Errors
/// [`ProblemCode::RunNotFound`] for an unknown or deleted run; [`ProblemCode::RunActive`]; [`ProblemCode::RunPinned`];
/// the database's errors.
pub async fn delete(backend: &Backend, id: &str, actor: &Actor) -> Result<(), Problem> {
    let run = run_id(id)?;
    let pipeline = get(backend, id).await?.pipeline;
    let audit = actor.audit_entry(AuditAction::RunDelete, Some(run.clone()), Some(pipeline));
    retry_on_conflict(|| delete_once(backend, &run, &audit)).await
}

async fn delete_once(backend: &Backend, run: &RunId, audit: &NewAudit) -> Result<(), ChangeError> {
    let (key, head) = backend.find(run.as_str()).await?;
    if head.status.is_active() {
        let detail = format!("The run is {}. Wait until it finishes, or cancel it first.", head.status);
        return Err(Problem::new(ProblemCode::RunActive, detail).into());
    }
    if backend.store.pin(key).await?.is_some_and(|pin| pin.pinned) {
        return Err(Problem::new(ProblemCode::RunPinned, "This run is pinned. Unpin it to delete it.").into());
    }
    let delete = DeleteRun { run: key, id: run.clone(), status: head.status, attempt: head.attempt };
    let write = RunWrite { audit: Some(Box::new(audit.clone())), ..RunWrite::new(delete) };
    backend.journal.write(write).await?;
    Ok(())
}
