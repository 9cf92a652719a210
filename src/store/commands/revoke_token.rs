use super::Guarded;
use crate::store::statement::{Statement, statement};

/// A token stops working, and so do the sessions that were made with it.
///
/// Called by an administrator. Refused if there is no such token.
#[derive(Clone, Debug)]
pub struct RevokeToken {
    pub id: String,
}

impl Guarded for RevokeToken {
    fn statements(&self) -> Vec<Statement<'_>> {
        vec![
            statement!("DELETE FROM access_tokens WHERE id = $id"; id: &self.id),
            statement!("DELETE FROM access_sessions WHERE parent = $id"; id: &self.id),
        ]
    }
}
