//! The reads of a [`Store`] that are about who may use the server, and about what they did.

use super::queries::{access, audit};
use super::{Digest, Store, StoreError, StoredCode, StoredSession, StoredToken};
use crate::model::Timestamp;
use crate::model::audit::{AuditEntry, AuditFilter};

impl Store {
    /// The session whose cookie has this digest.
    pub async fn session(&self, digest: &Digest) -> Result<Option<StoredSession>, StoreError> {
        self.reads().first("session", access::session(digest)).await
    }

    /// All sessions that end after `now`, the one that was used last first.
    pub async fn sessions(&self, now: Timestamp) -> Result<Vec<StoredSession>, StoreError> {
        self.reads().all("sessions", access::sessions(now)).await
    }

    /// The token whose secret has this digest.
    pub async fn token(&self, digest: &Digest) -> Result<Option<StoredToken>, StoreError> {
        self.reads().first("token", access::token(digest)).await
    }

    /// All tokens, newest first.
    pub async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        self.reads().all("tokens", access::tokens()).await
    }

    /// The login code with this digest.
    pub async fn code(&self, digest: &Digest) -> Result<Option<StoredCode>, StoreError> {
        self.reads().first("code", access::code(digest)).await
    }

    /// Up to `limit` lines of the audit log that the filter wants, newest first. The filter's own `limit` does not
    /// count.
    pub async fn audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.reads().all("audit", audit::page(filter, limit)).await
    }

    /// Up to `limit` lines of the audit log after this one, oldest first.
    pub async fn audit_after(&self, id: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.reads().all("audit_after", audit::after(id, limit)).await
    }
}
