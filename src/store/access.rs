//! Who may use the server, and what they did: tokens, sessions, one-time codes, and the audit log.

use async_trait::async_trait;

use super::StoreError;
use crate::model::audit::{AuditAction, AuditEntry, AuditFilter};
use crate::model::identity::Role;
use crate::model::{RunId, Timestamp};

/// A digest of a secret. Secrets themselves are never stored.
pub type Digest = [u8; 32];

/// A named token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// Of its secret.
    pub digest: Digest,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it was last used.
    pub used_at: Option<Timestamp>,
}

/// A login of a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession {
    /// Its id.
    pub id: String,
    /// Who has logged in.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Of its cookie.
    pub digest: Digest,
    /// Of the value that pages send with changes; `None` where no script ran at the login.
    pub key_digest: Option<Digest>,
    /// The token it was made with: its id, or a digest of the server's own. Without that token the session is over.
    pub parent: String,
    /// From where.
    pub address: Option<String>,
    /// What the browser calls itself.
    pub agent: Option<String>,
    /// When they logged in.
    pub created_at: Timestamp,
    /// When they were last here.
    pub seen_at: Timestamp,
    /// When it ends, however much it is used.
    pub expires_at: Timestamp,
}

/// A code that logs one browser in, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCode {
    /// Of the code.
    pub digest: Digest,
    /// The name of the session it makes.
    pub name: String,
    /// What that session may do.
    pub role: Role,
    /// The token that session is made with.
    pub parent: String,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// A line of the audit log that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAudit {
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// How they have shown who they are.
    pub via: &'static str,
    /// From where.
    pub address: Option<String>,
    /// What was done.
    pub action: AuditAction,
    /// The run it was done to.
    pub run: Option<RunId>,
    /// `done`, or a problem's code.
    pub outcome: String,
    /// What else there is to say.
    pub detail: Option<String>,
}

/// A write that concerns who may use the server.
#[derive(Clone, Debug)]
pub enum AccessOp {
    /// Nothing but the line of the audit log.
    Note,
    /// A browser has logged in. Sessions and codes that are over at this moment are removed.
    AddSession(StoredSession),
    /// A browser logs in with a code, which works once. Refused if it is over, or was used.
    TakeCode(Digest, StoredSession),
    /// The session with this id is over. Refused if there is none.
    EndSession(String),
    /// The session with this id was used at this moment.
    SeeSession(String, Timestamp),
    /// A new token. Refused if there is one of its name.
    AddToken(StoredToken),
    /// The token with this id, and the sessions made with it, are over. Refused if there is none.
    RevokeToken(String),
    /// The token with this id was used at this moment.
    UseToken(String, Timestamp),
    /// A new code.
    AddCode(StoredCode),
}

/// What is asked about who may use the server. The answers of stores that know nobody are empty.
#[async_trait]
pub trait AccessStore: Send + Sync {
    /// The session whose cookie has this digest.
    async fn session(&self, digest: &Digest) -> Result<Option<StoredSession>, StoreError> {
        let _ = digest;
        Ok(None)
    }

    /// All sessions that end after `now`, the one that was used last first.
    async fn sessions(&self, now: Timestamp) -> Result<Vec<StoredSession>, StoreError> {
        let _ = now;
        Ok(Vec::new())
    }

    /// The token whose secret has this digest.
    async fn token(&self, digest: &Digest) -> Result<Option<StoredToken>, StoreError> {
        let _ = digest;
        Ok(None)
    }

    /// All tokens, newest first.
    async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        Ok(Vec::new())
    }

    /// The code with this digest.
    async fn code(&self, digest: &Digest) -> Result<Option<StoredCode>, StoreError> {
        let _ = digest;
        Ok(None)
    }

    /// Up to `limit` lines of the audit log that the filter asks for, newest first; its own `limit` is not looked at.
    async fn audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let _ = (filter, limit);
        Ok(Vec::new())
    }

    /// Up to `limit` lines of the audit log after this one, oldest first.
    async fn audit_after(&self, id: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let _ = (id, limit);
        Ok(Vec::new())
    }
}
