//! The trait of commands that do not belong to one run.

use super::DiskPriority;
use crate::store::StoreError;
use crate::store::statement::Statement;
use crate::store::transaction::Transaction;

/// A command that does not belong to one run.
pub trait Guarded: Send + Sync {
    /// Its statements, in order. The precondition is in the first one.
    fn statements(&self) -> Vec<Statement<'_>>;

    /// Whether the command is refused if its first statement changes no row.
    fn can_be_refused(&self) -> bool {
        true
    }

    fn disk_priority(&self) -> DiskPriority {
        DiskPriority::Urgent
    }
}

/// Executes the statements. Returns whether the precondition held.
pub(super) async fn apply_guarded(command: &dyn Guarded, tx: &mut impl Transaction) -> Result<bool, StoreError> {
    for (index, statement) in command.statements().into_iter().enumerate() {
        if tx.execute(statement).await? == 0 && index == 0 && command.can_be_refused() {
            return Ok(false);
        }
    }
    Ok(true)
}
