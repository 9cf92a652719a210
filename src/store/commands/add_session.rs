use super::{Guarded, StoredSession};
use crate::store::statement::{Statement, statement};

/// A browser has logged in with a token. Sessions and login codes that have expired are removed.
///
/// Called by the login page. Never refused.
#[derive(Clone, Debug)]
pub struct AddSession {
    pub session: StoredSession,
}

impl Guarded for AddSession {
    fn statements(&self) -> Vec<Statement<'_>> {
        let now = self.session.created_at;
        vec![
            insert_session(&self.session),
            statement!("DELETE FROM access_sessions WHERE expires_at <= $now"; now: now),
            statement!("DELETE FROM login_codes WHERE expires_at <= $now"; now: now),
        ]
    }
}

/// The row of a session.
pub(super) fn insert_session(session: &StoredSession) -> Statement<'_> {
    statement!(
        "INSERT INTO access_sessions
            (id, name, role, digest, key_digest, parent, address, agent, created_at, seen_at, expires_at)
         VALUES ($id, $name, $role, $digest, $key_digest, $parent, $address, $agent, $created_at, $seen_at, $expires_at)";
        id: &session.id,
        name: &session.name,
        role: session.role.as_str(),
        digest: &session.digest,
        key_digest: session.key_digest.as_ref(),
        parent: &session.parent,
        address: session.address.as_deref(),
        agent: session.agent.as_deref(),
        created_at: session.created_at,
        seen_at: session.seen_at,
        expires_at: session.expires_at,
    )
}
