use super::Guarded;
use crate::model::audit::AuditAction;
use crate::model::{RunId, Timestamp};
use crate::store::statement::{Statement, statement};

/// A line of the audit log that is to be written. The database refuses to change or to remove one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAudit {
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// How they have proved who they are.
    pub via: &'static str,
    /// The address they came from.
    pub address: Option<String>,
    pub action: AuditAction,
    /// The run it was done to.
    pub run: Option<RunId>,
    /// `done`, or a problem's code.
    pub outcome: String,
    pub detail: Option<String>,
}

impl NewAudit {
    pub(super) fn insert(&self) -> Statement<'_> {
        statement!(
            "INSERT INTO audit (at, actor, via, address, action, run, outcome, detail)
             VALUES ($at, $actor, $via, $address, $action, $run, $outcome, $detail)";
            at: self.at,
            actor: &self.actor,
            via: self.via,
            address: self.address.as_deref(),
            action: self.action.as_str(),
            run: self.run.as_ref(),
            outcome: &self.outcome,
            detail: self.detail.as_deref(),
        )
    }
}

/// Nothing but its line is added to the audit log.
///
/// Called when a request is refused. Never refused.
#[derive(Clone, Debug)]
pub struct RecordAudit(pub NewAudit);

impl Guarded for RecordAudit {
    fn statements(&self) -> Vec<Statement<'_>> {
        vec![self.0.insert()]
    }
}
