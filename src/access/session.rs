//! When a login is over. Pure.

use crate::model::Timestamp;
use crate::store::{StoredSession, StoredToken};

/// A login that is not used for so long is over, in milliseconds: 12 hours.
pub const IDLE_MS: i64 = 12 * 60 * 60 * 1000;

/// A login is over after so long, however much it is used, in milliseconds: 30 days.
pub const LONGEST_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// Whether a login still holds.
pub fn holds(session: &StoredSession, now: Timestamp) -> bool {
    now < session.expires_at && now.0 < session.seen_at.0.saturating_add(IDLE_MS)
}

/// Whether a token still works.
pub fn works(token: &StoredToken, now: Timestamp) -> bool {
    token.expires_at.is_none_or(|end| now < end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    #[test]
    fn login_ends_when_idle_or_old() {
        let login = |seen_at: i64| StoredSession {
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
            expires_at: Timestamp(LONGEST_MS),
        };
        for (seen, now, expected) in [
            (0, IDLE_MS - 1, true),
            (0, IDLE_MS, false),
            (IDLE_MS, IDLE_MS + 1, true),
            (LONGEST_MS - 1, LONGEST_MS - 1, true),
            (LONGEST_MS - 1, LONGEST_MS, false),
        ] {
            assert_eq!(holds(&login(seen), Timestamp(now)), expected, "{seen} {now}");
        }
    }

    #[test]
    fn token_works_until_it_expires() {
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
        assert!(works(&token(None), Timestamp(i64::MAX)));
        assert!(works(&token(Some(Timestamp(5))), Timestamp(4)));
        assert!(!works(&token(Some(Timestamp(5))), Timestamp(5)));
    }
}
