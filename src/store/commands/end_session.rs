use super::Guarded;
use crate::store::statement::{Statement, statement};

/// A session ends.
///
/// By its own person's logout, or by an administrator. Refused if there is no such session.
#[derive(Clone, Debug)]
pub struct EndSession {
    pub id: String,
}

impl Guarded for EndSession {
    fn statements(&self) -> Vec<Statement<'_>> {
        vec![statement!("DELETE FROM access_sessions WHERE id = $id"; id: &self.id)]
    }
}
