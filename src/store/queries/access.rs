//! Tokens, sessions and login codes.

use crate::model::Timestamp;
use crate::store::RowError;
use crate::store::commands::{Digest, StoredCode, StoredSession, StoredToken};
use crate::store::row::Row;
use crate::store::statement::{Query, statement};

const SESSION: &str = "id, name, role, digest, key_digest, parent, address, agent, created_at, seen_at, expires_at";

const TOKEN: &str = "id, name, role, digest, created_at, created_by, expires_at, used_at";

/// The session whose cookie has this digest.
pub fn session(digest: &Digest) -> Query<'_, StoredSession> {
    statement!(["SELECT ", SESSION, " FROM access_sessions WHERE digest = $digest"]; digest: digest).read(read_session)
}

/// All sessions that end after `now`, the one that was used last first.
pub fn sessions(now: Timestamp) -> Query<'static, StoredSession> {
    statement!(
        ["SELECT ", SESSION, " FROM access_sessions WHERE expires_at > $now ORDER BY seen_at DESC, id"];
        now: now,
    )
    .read(read_session)
}

/// The token whose secret has this digest.
pub fn token(digest: &Digest) -> Query<'_, StoredToken> {
    statement!(["SELECT ", TOKEN, " FROM access_tokens WHERE digest = $digest"]; digest: digest).read(read_token)
}

/// All tokens, newest first.
pub fn tokens() -> Query<'static, StoredToken> {
    statement!(["SELECT ", TOKEN, " FROM access_tokens ORDER BY created_at DESC, id"];).read(read_token)
}

/// The login code with this digest.
pub fn code(digest: &Digest) -> Query<'_, StoredCode> {
    statement!(
        "SELECT digest, name, role, parent, expires_at FROM login_codes WHERE digest = $digest";
        digest: digest,
    )
    .read(|row| {
        Ok(StoredCode {
            digest: row.get("digest")?,
            name: row.get("name")?,
            role: row.get("role")?,
            parent: row.get("parent")?,
            expires_at: row.get("expires_at")?,
        })
    })
}

fn read_session(row: &dyn Row) -> Result<StoredSession, RowError> {
    Ok(StoredSession {
        id: row.get("id")?,
        name: row.get("name")?,
        role: row.get("role")?,
        digest: row.get("digest")?,
        key_digest: row.get("key_digest")?,
        parent: row.get("parent")?,
        address: row.get("address")?,
        agent: row.get("agent")?,
        created_at: row.get("created_at")?,
        seen_at: row.get("seen_at")?,
        expires_at: row.get("expires_at")?,
    })
}

fn read_token(row: &dyn Row) -> Result<StoredToken, RowError> {
    Ok(StoredToken {
        id: row.get("id")?,
        name: row.get("name")?,
        role: row.get("role")?,
        digest: row.get("digest")?,
        created_at: row.get("created_at")?,
        created_by: row.get("created_by")?,
        expires_at: row.get("expires_at")?,
        used_at: row.get("used_at")?,
    })
}
