use super::{Guarded, StoredToken};
use crate::store::statement::{Statement, statement};

/// A new token.
///
/// Called by an administrator. Refused if there is a token of this name.
#[derive(Clone, Debug)]
pub struct AddToken {
    pub token: StoredToken,
}

impl Guarded for AddToken {
    fn statements(&self) -> Vec<Statement<'_>> {
        let token = &self.token;
        vec![statement!(
            "INSERT INTO access_tokens (id, name, role, digest, created_at, created_by, expires_at)
             SELECT $id, $name, $role, $digest, $created_at, $created_by, $expires_at
             WHERE NOT EXISTS (SELECT 1 FROM access_tokens WHERE name = $name)";
            id: &token.id,
            name: &token.name,
            role: token.role.as_str(),
            digest: &token.digest,
            created_at: token.created_at,
            created_by: &token.created_by,
            expires_at: token.expires_at,
        )]
    }
}
