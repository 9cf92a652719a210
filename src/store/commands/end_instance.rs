use super::Guarded;
use crate::model::Timestamp;
use crate::store::statement::{Statement, statement};

/// An instance ends in order.
///
/// Called by itself, as its last write. Refused if it is not registered. Its row stays for a while: it shows since when
/// runs wait for a worker like it.
#[derive(Clone, Debug)]
pub struct EndInstance {
    pub id: String,
    pub at: Timestamp,
}

impl Guarded for EndInstance {
    fn statements(&self) -> Vec<Statement<'_>> {
        vec![statement!(
            "UPDATE instances SET seen_at = $at, ended_at = $at WHERE id = $id";
            at: self.at,
            id: &self.id,
        )]
    }
}
