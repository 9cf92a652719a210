use super::{DiskPriority, Guarded};
use crate::model::Timestamp;
use crate::store::statement::{Statement, statement};

/// Instances that were not seen for long are forgotten, with what they offered.
///
/// Called by every instance, now and then. Refused if there are none.
#[derive(Clone, Debug)]
pub struct ForgetInstances {
    /// Those whose last heartbeat was before this moment.
    pub before: Timestamp,
}

impl Guarded for ForgetInstances {
    fn statements(&self) -> Vec<Statement<'_>> {
        vec![statement!("DELETE FROM instances WHERE seen_at < $before"; before: self.before)]
    }

    fn disk_priority(&self) -> DiskPriority {
        DiskPriority::Deferrable
    }
}
