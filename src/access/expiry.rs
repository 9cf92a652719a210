//! When sessions and tokens expire. Pure.

use crate::model::Timestamp;
use crate::store::{StoredSession, StoredToken};

/// A session expires after 12 hours without use.
pub const MAX_IDLE_MS: i64 = 12 * 60 * 60 * 1000;

/// A session expires after 30 days, however much it is used.
pub const MAX_SESSION_MS: i64 = 30 * 24 * 60 * 60 * 1000;

pub fn is_session_valid(session: &StoredSession, now: Timestamp) -> bool {
    now < session.expires_at && now.0 < session.seen_at.0.saturating_add(MAX_IDLE_MS)
}

pub fn is_token_valid(token: &StoredToken, now: Timestamp) -> bool {
    token.expires_at.is_none_or(|expires_at| now < expires_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    #[test]
    fn session_expires_when_idle_or_old() {
        let session = |seen_at: i64| StoredSession {
            id: "s".into(),
            name: "a".into(),
            role: Role::Viewer,
            digest: [0; 32],
            key_digest: None,
            parent: "p".into(),
            address: None,
            agent: None,
            created_at: Timestamp(0),
            seen_at: Timestamp(seen_at),
            expires_at: Timestamp(MAX_SESSION_MS),
        };
        for (seen_at, now, expected) in [
            (0, MAX_IDLE_MS - 1, true),
            (0, MAX_IDLE_MS, false),
            (MAX_IDLE_MS, MAX_IDLE_MS + 1, true),
            (MAX_SESSION_MS - 1, MAX_SESSION_MS - 1, true),
            (MAX_SESSION_MS - 1, MAX_SESSION_MS, false),
        ] {
            assert_eq!(is_session_valid(&session(seen_at), Timestamp(now)), expected, "{seen_at} {now}");
        }
    }

    #[test]
    fn token_is_valid_until_it_expires() {
        let token = |expires_at| StoredToken {
            id: "t".into(),
            name: "ci".into(),
            role: Role::Viewer,
            digest: [0; 32],
            created_at: Timestamp(0),
            created_by: "operator".into(),
            expires_at,
            used_at: None,
        };
        assert!(is_token_valid(&token(None), Timestamp(i64::MAX)));
        assert!(is_token_valid(&token(Some(Timestamp(5))), Timestamp(4)));
        assert!(!is_token_valid(&token(Some(Timestamp(5))), Timestamp(5)));
    }
}
