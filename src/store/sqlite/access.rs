//! Tokens, sessions and one-time codes.

use async_trait::async_trait;
use rusqlite::{Connection, params};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{SqliteStore, audit, classify};
use crate::model::Timestamp;
use crate::model::audit::{AuditEntry, AuditFilter};
use crate::store::access::{AccessOp, AccessStore, Digest, NewAudit, StoredCode, StoredSession, StoredToken};
use crate::store::{Outcome, StoreError};

/// Carries out a write, and notes it in the audit log if it was accepted.
pub fn carry_out(tx: &Connection, op: &AccessOp, note: Option<&NewAudit>) -> rusqlite::Result<Outcome> {
    let is_done = match op {
        AccessOp::Note => true,
        AccessOp::AddSession(session) => add_session(tx, session)?,
        AccessOp::TakeCode(digest, session) => {
            let taken = "DELETE FROM login_codes WHERE digest = ? AND expires_at > ?";
            let taken = tx.prepare_cached(taken)?.execute(params![digest, session.created_at.0])?;
            taken == 1 && add_session(tx, session)?
        }
        AccessOp::EndSession(id) => tx.prepare_cached("DELETE FROM access_sessions WHERE id = ?")?.execute([id])? == 1,
        AccessOp::SeeSession(id, at) => {
            let seen = "UPDATE access_sessions SET seen_at = max(seen_at, ?) WHERE id = ?";
            tx.prepare_cached(seen)?.execute(params![at.0, id])? == 1
        }
        AccessOp::AddToken(token) => add_token(tx, token)?,
        AccessOp::RevokeToken(id) => {
            tx.prepare_cached("DELETE FROM access_sessions WHERE parent = ?")?.execute([id])?;
            tx.prepare_cached("DELETE FROM access_tokens WHERE id = ?")?.execute([id])? == 1
        }
        AccessOp::UseToken(id, at) => {
            let used = "UPDATE access_tokens SET used_at = max(coalesce(used_at, 0), ?) WHERE id = ?";
            tx.prepare_cached(used)?.execute(params![at.0, id])? == 1
        }
        AccessOp::AddCode(StoredCode { digest, name, role, parent, expires_at }) => {
            let add = "INSERT INTO login_codes (digest, name, role, parent, expires_at) VALUES (?, ?, ?, ?, ?)";
            tx.prepare_cached(add)?.execute(params![digest, name, role.as_str(), parent, expires_at.0])? == 1
        }
    };
    if !is_done {
        return Ok(Outcome::Refused);
    }
    if let Some(note) = note {
        audit::add(tx, note)?;
    }
    Ok(Outcome::Triggered)
}

fn add_session(tx: &Connection, session: &StoredSession) -> rusqlite::Result<bool> {
    let now = session.created_at.0;
    tx.prepare_cached("DELETE FROM access_sessions WHERE expires_at <= ?")?.execute([now])?;
    tx.prepare_cached("DELETE FROM login_codes WHERE expires_at <= ?")?.execute([now])?;
    let add = "INSERT INTO access_sessions
            (id, name, role, digest, key_digest, parent, address, agent, created_at, seen_at, expires_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let added = tx.prepare_cached(add)?.execute(params![
        session.id,
        session.name,
        session.role.as_str(),
        session.digest,
        session.key_digest,
        session.parent,
        session.address,
        session.agent,
        now,
        session.seen_at.0,
        session.expires_at.0
    ])?;
    Ok(added == 1)
}

fn add_token(tx: &Connection, token: &StoredToken) -> rusqlite::Result<bool> {
    let add = "INSERT INTO access_tokens (id, name, role, digest, created_at, created_by, expires_at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS (SELECT 1 FROM access_tokens WHERE name = ?2)";
    let added = tx.prepare_cached(add)?.execute(params![
        token.id,
        token.name,
        token.role.as_str(),
        token.digest,
        token.created_at.0,
        token.created_by,
        token.expires_at.map(|at| at.0)
    ])?;
    Ok(added == 1)
}

const SESSION: &str = "id, name, role, digest, key_digest, parent, address, agent, created_at, seen_at, expires_at";

const TOKEN: &str = "id, name, role, digest, created_at, created_by, expires_at, used_at";

/// What a column holds is not what was put there.
fn corrupt(column: &str, error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) }
}

fn digest(bytes: &[u8], column: &str) -> Result<Digest, sqlx::Error> {
    bytes.try_into().map_err(|error| corrupt(column, error))
}

fn role(row: &SqliteRow) -> Result<crate::model::identity::Role, sqlx::Error> {
    row.try_get::<&str, _>("role")?.parse().map_err(|error| corrupt("role", error))
}

fn session(row: &SqliteRow) -> Result<StoredSession, sqlx::Error> {
    Ok(StoredSession {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        role: role(row)?,
        digest: digest(row.try_get("digest")?, "digest")?,
        key_digest: row.try_get::<Option<&[u8]>, _>("key_digest")?.map(|key| digest(key, "key_digest")).transpose()?,
        parent: row.try_get("parent")?,
        address: row.try_get("address")?,
        agent: row.try_get("agent")?,
        created_at: Timestamp(row.try_get("created_at")?),
        seen_at: Timestamp(row.try_get("seen_at")?),
        expires_at: Timestamp(row.try_get("expires_at")?),
    })
}

fn token(row: &SqliteRow) -> Result<StoredToken, sqlx::Error> {
    Ok(StoredToken {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        role: role(row)?,
        digest: digest(row.try_get("digest")?, "digest")?,
        created_at: Timestamp(row.try_get("created_at")?),
        created_by: row.try_get("created_by")?,
        expires_at: row.try_get::<Option<i64>, _>("expires_at")?.map(Timestamp),
        used_at: row.try_get::<Option<i64>, _>("used_at")?.map(Timestamp),
    })
}

#[async_trait]
impl AccessStore for SqliteStore {
    async fn session(&self, digest: &Digest) -> Result<Option<StoredSession>, StoreError> {
        let query = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {SESSION} FROM access_sessions WHERE digest = ?")))
            .bind(&digest[..]);
        let row = query.fetch_optional(&self.reads).await.map_err(classify)?;
        row.as_ref().map(session).transpose().map_err(classify)
    }

    async fn sessions(&self, now: Timestamp) -> Result<Vec<StoredSession>, StoreError> {
        let sql = format!("SELECT {SESSION} FROM access_sessions WHERE expires_at > ? ORDER BY seen_at DESC, id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(now.0).fetch_all(&self.reads).await.map_err(classify)?;
        rows.iter().map(session).collect::<Result<_, _>>().map_err(classify)
    }

    async fn token(&self, digest: &Digest) -> Result<Option<StoredToken>, StoreError> {
        let query = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT {TOKEN} FROM access_tokens WHERE digest = ?")))
            .bind(&digest[..]);
        let row = query.fetch_optional(&self.reads).await.map_err(classify)?;
        row.as_ref().map(token).transpose().map_err(classify)
    }

    async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        let sql = format!("SELECT {TOKEN} FROM access_tokens ORDER BY created_at DESC, id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.reads).await.map_err(classify)?;
        rows.iter().map(token).collect::<Result<_, _>>().map_err(classify)
    }

    async fn code(&self, asked: &Digest) -> Result<Option<StoredCode>, StoreError> {
        let sql = "SELECT name, role, parent, expires_at FROM login_codes WHERE digest = ?";
        let row = sqlx::query(sql).bind(&asked[..]).fetch_optional(&self.reads).await.map_err(classify)?;
        let read = |row: SqliteRow| {
            let (name, parent) = (row.try_get("name")?, row.try_get("parent")?);
            let expires_at = Timestamp(row.try_get("expires_at")?);
            Ok(StoredCode { digest: *asked, name, role: role(&row)?, parent, expires_at })
        };
        row.map(read).transpose().map_err(classify)
    }

    async fn audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        audit::page(&self.reads, filter, limit).await
    }

    async fn audit_after(&self, id: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        audit::after(&self.reads, id, limit).await
    }
}
