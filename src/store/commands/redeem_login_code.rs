use super::add_session::insert_session;
use super::{Digest, Guarded, StoredSession};
use crate::store::statement::{Statement, statement};

/// A browser logs in with a code, which works once.
///
/// Called by the login page. Refused if the code has expired or another browser has used it.
#[derive(Clone, Debug)]
pub struct RedeemLoginCode {
    /// Of the code.
    pub digest: Digest,
    pub session: StoredSession,
}

impl Guarded for RedeemLoginCode {
    fn statements(&self) -> Vec<Statement<'_>> {
        let now = self.session.created_at;
        vec![
            statement!(
                "DELETE FROM login_codes WHERE digest = $digest AND expires_at > $now";
                digest: &self.digest,
                now: now,
            ),
            insert_session(&self.session),
            statement!("DELETE FROM access_sessions WHERE expires_at <= $now"; now: now),
            statement!("DELETE FROM login_codes WHERE expires_at <= $now"; now: now),
        ]
    }
}
