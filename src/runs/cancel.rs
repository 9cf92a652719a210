//! Cancels an active run. The engine ends its processes.

use std::time::Duration;

use super::{Backend, ChangeError, committed_run, retry_on_conflict, run_id, run_not_found};
use crate::access::Actor;
use crate::model::audit::AuditAction;
use crate::model::{Problem, ProblemCode, Run, Status};
use crate::store::{CancelPending, NewAudit, RequestCancel, RunWrite};

/// When the processes of a cancelled run get SIGKILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelMode {
    /// After SIGTERM and the grace time.
    Graceful,
    /// After the grace time on the first request, immediately on a second one.
    ForceOnSecondRequest,
    /// Immediately.
    Force,
}

impl CancelMode {
    const fn is_forced(self, is_requested: bool) -> bool {
        match self {
            Self::Graceful => false,
            Self::ForceOnSecondRequest => is_requested,
            Self::Force => true,
        }
    }
}

/// Requests the end of an active run. A pending run ends at once; the processes of a running one get SIGTERM, then
/// SIGKILL as `mode` says. Repeating a request that is already in effect writes nothing.
///
/// # Errors
/// [`ProblemCode::RunNotFound`] for an unknown or deleted run; [`ProblemCode::RunFinished`]; the database's errors.
pub async fn cancel(backend: &Backend, id: &str, actor: &Actor, mode: CancelMode) -> Result<Run, Problem> {
    let audit = Box::new(actor.audit_entry(AuditAction::RunCancel, Some(run_id(id)?), None));
    let by = actor.to_string();
    retry_on_conflict(|| cancel_once(backend, id, &by, &audit, mode)).await
}

async fn cancel_once(
    backend: &Backend,
    id: &str,
    by: &str,
    audit: &NewAudit,
    mode: CancelMode,
) -> Result<Run, ChangeError> {
    let audit = Some(Box::new(audit.clone()));
    let (key, head) = backend.find(id).await?;
    let mut force = false;
    let committed = match head.status {
        Status::Pending => {
            let run = backend.store.run(key).await?.ok_or_else(|| run_not_found(id))?;
            let Some(cancel) = CancelPending::write(key, &run, by) else { return Err(ChangeError::Conflict) };
            backend.journal.write(RunWrite { audit, ..cancel }).await?
        }
        Status::Running => {
            let run = backend.store.run(key).await?.ok_or_else(|| run_not_found(id))?;
            // It may have ended since the first read.
            if run.status != Status::Running {
                return Err(ChangeError::Conflict);
            }
            force = mode.is_forced(run.cancel.is_some());
            if run.cancel.as_ref().is_some_and(|cancel| !force || !cancel.can_be_forced()) {
                backend.engine.cancel(key, force);
                return Ok(run);
            }
            let grace = if force { Duration::ZERO } else { backend.engine.grace() };
            let ask = RequestCancel::write(key, &run, by.to_owned(), grace, force);
            backend.journal.write(RunWrite { audit, ..ask }).await?
        }
        Status::Completed | Status::Failed | Status::Cancelled | Status::Interrupted => {
            let detail = format!("The run is already {}.", head.status);
            return Err(Problem::new(ProblemCode::RunFinished, detail).into());
        }
    };
    backend.engine.cancel(key, force);
    Ok(committed_run(committed, id)?)
}
