//! Draining: this instance takes no more runs, finishes those that it executes, and ends.

use crate::access::Actor;
use crate::model::Problem;
use crate::model::audit::AuditAction;
use crate::model::workers::DrainStatus;
use crate::runs::Backend;
use crate::store::RecordAudit;

/// Begins to drain this instance. Repeating it is harmless; it cannot be undone.
///
/// # Errors
/// The audit log cannot be written; then nothing happens.
pub async fn drain(backend: &Backend, actor: &Actor) -> Result<DrainStatus, Problem> {
    if backend.engine.draining_since().is_none() {
        let detail = Some(backend.instance.name.clone());
        let entry = actor.audit_entry(AuditAction::InstanceDrain, None, detail);
        backend.journal.execute(RecordAudit(entry), None).await?;
        tracing::info!(by = %actor, "draining: no new runs; ending when those that are executed have finished");
        backend.engine.drain();
    }
    Ok(drain_status(backend))
}

/// Whether this instance is draining. Does not access the database.
pub fn drain_status(backend: &Backend) -> DrainStatus {
    let busy = u32::try_from(backend.engine.busy()).unwrap_or(u32::MAX);
    DrainStatus { draining_since: backend.engine.draining_since(), busy }
}
