//! What each command that concerns no single run says of itself.

use super::DiskPriority;
use crate::store::StoreError;
use crate::store::statement::Statement;
use crate::store::transaction::Transaction;

/// A command that concerns no single run.
pub trait Guarded: Send + Sync {
    /// What it writes, in order. The precondition is in the first statement.
    fn statements(&self) -> Vec<Statement<'_>>;

    /// Whether the command is refused if its first statement changes no row.
    fn can_be_refused(&self) -> bool {
        true
    }

    fn disk_priority(&self) -> DiskPriority {
        DiskPriority::Urgent
    }
}

/// Carries the statements out. Returns whether the precondition held.
pub(super) async fn apply_guarded(command: &dyn Guarded, tx: &mut impl Transaction) -> Result<bool, StoreError> {
    for (index, statement) in command.statements().into_iter().enumerate() {
        if tx.execute(statement).await? == 0 && index == 0 && command.can_be_refused() {
            return Ok(false);
        }
    }
    Ok(true)
}
