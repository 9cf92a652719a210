use super::Guarded;
use crate::model::Timestamp;
use crate::store::statement::{Statement, statement};

/// A token was used.
///
/// Called by the access check, now and then. Refused if the token was revoked.
#[derive(Clone, Debug)]
pub struct TouchToken {
    pub id: String,
    pub at: Timestamp,
}

impl Guarded for TouchToken {
    fn statements(&self) -> Vec<Statement<'_>> {
        vec![statement!(
            "UPDATE access_tokens SET used_at = CASE WHEN used_at > $at THEN used_at ELSE $at END WHERE id = $id";
            at: self.at,
            id: &self.id,
        )]
    }
}
