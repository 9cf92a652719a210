use super::{Guarded, StoredCode};
use crate::store::statement::{Statement, statement};

/// A new code that logs one browser in, once.
///
/// By `runtrail login-link` and administrators. Never refused.
#[derive(Clone, Debug)]
pub struct AddLoginCode {
    pub code: StoredCode,
}

impl Guarded for AddLoginCode {
    fn statements(&self) -> Vec<Statement<'_>> {
        let StoredCode { digest, name, role, parent, expires_at } = &self.code;
        vec![statement!(
            "INSERT INTO login_codes (digest, name, role, parent, expires_at)
             VALUES ($digest, $name, $role, $parent, $expires_at)";
            digest: digest,
            name: name,
            role: role.as_str(),
            parent: parent,
            expires_at: *expires_at,
        )]
    }
}
