use super::Guarded;
use crate::model::Timestamp;
use crate::store::statement::{Statement, statement};

/// A session was used.
///
/// Called by the access check, now and then. Refused if the session has ended.
#[derive(Clone, Debug)]
pub struct TouchSession {
    pub id: String,
    pub at: Timestamp,
}

impl Guarded for TouchSession {
    fn statements(&self) -> Vec<Statement<'_>> {
        vec![statement!(
            "UPDATE access_sessions SET seen_at = CASE WHEN seen_at < $at THEN $at ELSE seen_at END WHERE id = $id";
            at: self.at,
            id: &self.id,
        )]
    }
}
