//! A cache of tokens and sessions, so that not every request reads the database, and the signals that end their
//! streams.
//!
//! An entry is valid for [`FRESH_FOR`]: a token that another server revokes stops working here within that time. Only
//! valid credentials are cached, so that guesses take no memory.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use super::expiry;
use crate::model::Timestamp;
use crate::store::StoreError;
use crate::store::{Digest, StoredSession, StoredToken};

/// How long an entry is used before it is read again.
const FRESH_FOR: Duration = Duration::from_secs(5);

/// When the cache is full, stale entries are removed.
const MAX_ENTRIES: usize = 4096;

/// The time of the last use is written at most once in this interval.
const USE_WRITE_INTERVAL_MS: i64 = 60_000;

/// Failures are written to the audit log at most once in this interval, so that guessing cannot fill the disk.
const AUDIT_INTERVAL_MS: i64 = 1000;

/// A credential as the database has it.
#[derive(Clone, Debug)]
pub enum StoredCredential {
    Token(StoredToken),
    Session(StoredSession),
}

impl StoredCredential {
    fn id(&self) -> &str {
        match self {
            Self::Token(token) => &token.id,
            Self::Session(session) => &session.id,
        }
    }

    fn is_valid(&self, now: Timestamp) -> bool {
        match self {
            Self::Token(token) => expiry::is_token_valid(token, now),
            Self::Session(session) => expiry::is_session_valid(session, now),
        }
    }

    fn record_use(&mut self, now: Timestamp) {
        match self {
            Self::Token(token) => token.used_at = token.used_at.max(Some(now)),
            Self::Session(session) => session.seen_at = session.seen_at.max(now),
        }
    }
}

#[derive(Debug)]
struct CacheEntry {
    credential: StoredCredential,
    read_at: Instant,
    use_written_at: Option<Timestamp>,
    /// Cancelled when the credential is no longer valid; its streams end then.
    revoked: CancellationToken,
}

#[derive(Debug)]
pub struct CredentialCache {
    entries: Mutex<HashMap<Digest, CacheEntry>>,
    stop: CancellationToken,
    /// When an invalid credential was last written to the audit log.
    invalid_audited_at: Mutex<Option<Timestamp>>,
    /// When a rejected request was last written to the audit log.
    rejection_audited_at: Mutex<Option<Timestamp>>,
}

impl CredentialCache {
    /// An empty cache. All streams end with `stop`.
    pub fn new(stop: &CancellationToken) -> Self {
        Self {
            entries: Mutex::default(),
            stop: stop.clone(),
            invalid_audited_at: Mutex::default(),
            rejection_audited_at: Mutex::default(),
        }
    }

    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, CacheEntry>> {
        self.entries.lock()
    }

    /// The valid credential with this digest, and the signal that it is no longer valid. `read` reads the database;
    /// `is_use` says whether this is a use of the credential. While the database is unavailable, cached credentials
    /// stay valid.
    ///
    /// # Errors
    /// The credential could not be read and is not cached.
    pub async fn find(
        &self,
        digest: &Digest,
        (now, is_use): (Timestamp, bool),
        read: impl AsyncFnOnce() -> Result<Option<StoredCredential>, StoreError>,
    ) -> Result<Option<(StoredCredential, CancellationToken)>, StoreError> {
        let is_fresh = self.lock().get(digest).is_some_and(|entry| entry.read_at.elapsed() < FRESH_FOR);
        if !is_fresh {
            match read().await {
                Ok(credential) => self.store(digest, credential),
                Err(error) if !self.lock().contains_key(digest) => return Err(error),
                Err(_) => {}
            }
        }
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(digest) else { return Ok(None) };
        if !entry.credential.is_valid(now) {
            if let Some(entry) = entries.remove(digest) {
                entry.revoked.cancel();
            }
            return Ok(None);
        }
        if is_use {
            entry.credential.record_use(now);
        }
        Ok(Some((entry.credential.clone(), entry.revoked.clone())))
    }

    fn store(&self, digest: &Digest, read: Option<StoredCredential>) {
        let mut entries = self.lock();
        let Some(mut credential) = read else {
            if let Some(entry) = entries.remove(digest) {
                entry.revoked.cancel();
            }
            return;
        };
        let read_at = Instant::now();
        if let Some(entry) = entries.get_mut(digest) {
            // The last use in the cache may be newer than the written one.
            if let (StoredCredential::Session(new), StoredCredential::Session(old)) =
                (&mut credential, &entry.credential)
            {
                new.seen_at = new.seen_at.max(old.seen_at);
            }
            (entry.credential, entry.read_at) = (credential, read_at);
            return;
        }
        if entries.len() >= MAX_ENTRIES {
            // Their streams end and reconnect: without an entry they could not be ended later.
            entries.retain(|_, entry| {
                let is_fresh = entry.read_at.elapsed() < FRESH_FOR;
                if !is_fresh {
                    entry.revoked.cancel();
                }
                is_fresh
            });
        }
        let revoked = self.stop.child_token();
        entries.insert(*digest, CacheEntry { credential, read_at, use_written_at: None, revoked });
    }

    /// Whether the last use has to be written now. If so, the next [`USE_WRITE_INTERVAL_MS`] need no write.
    pub fn should_write_use(&self, digest: &Digest, now: Timestamp) -> bool {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(digest) else { return false };
        let is_due =
            entry.use_written_at.is_none_or(|written| now.0.saturating_sub(written.0) >= USE_WRITE_INTERVAL_MS);
        if is_due {
            entry.use_written_at = Some(now);
        }
        is_due
    }

    /// Removes the session or token with this id, and ends its streams.
    pub fn remove(&self, id: &str) {
        self.lock().retain(|_, entry| {
            let is_other = entry.credential.id() != id;
            if !is_other {
                entry.revoked.cancel();
            }
            is_other
        });
    }

    /// Removes the sessions that were created with this token, and ends their streams.
    pub fn remove_sessions_of(&self, parent: &str) {
        self.lock().retain(|_, entry| {
            let is_child = matches!(&entry.credential, StoredCredential::Session(session) if session.parent == parent);
            if is_child {
                entry.revoked.cancel();
            }
            !is_child
        });
    }

    /// The digests of all entries, each with whether it is a session.
    pub fn digests(&self) -> Vec<(Digest, bool)> {
        let is_session = |entry: &CacheEntry| matches!(entry.credential, StoredCredential::Session(_));
        self.lock().iter().map(|(digest, entry)| (*digest, is_session(entry))).collect()
    }

    /// Whether an invalid credential may be written to the audit log now.
    pub fn may_audit_invalid_credential(&self, now: Timestamp) -> bool {
        may_audit(&self.invalid_audited_at, now)
    }

    /// Whether a rejected request may be written to the audit log now.
    pub fn may_audit_rejection(&self, now: Timestamp) -> bool {
        may_audit(&self.rejection_audited_at, now)
    }
}

/// Whether [`AUDIT_INTERVAL_MS`] has passed since the last time. A clock that was set back counts as passed.
fn may_audit(last: &Mutex<Option<Timestamp>>, now: Timestamp) -> bool {
    let mut last = last.lock();
    let may = last.is_none_or(|last| now.0.saturating_sub(last.0) >= AUDIT_INTERVAL_MS || now < last);
    if may {
        *last = Some(now);
    }
    may
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Role;

    fn session(seen_at: i64) -> StoredCredential {
        StoredCredential::Session(StoredSession {
            id: "s".into(),
            name: "anna".into(),
            role: Role::Viewer,
            digest: [1; 32],
            key_digest: None,
            parent: "p".into(),
            address: None,
            agent: None,
            created_at: Timestamp(0),
            seen_at: Timestamp(seen_at),
            expires_at: Timestamp(expiry::MAX_SESSION_MS),
        })
    }

    async fn find(
        cache: &CredentialCache,
        now: i64,
        is_use: bool,
        read: Option<StoredCredential>,
    ) -> Option<CancellationToken> {
        let found = cache.find(&[1; 32], (Timestamp(now), is_use), async || Ok(read)).await;
        found.unwrap().map(|(_, revoked)| revoked)
    }

    #[tokio::test]
    async fn session_stays_valid_only_through_use() {
        for (is_use, is_valid) in [(true, true), (false, false)] {
            let cache = CredentialCache::new(&CancellationToken::new());
            let revoked = find(&cache, 1, true, Some(session(0))).await.unwrap();
            assert!(find(&cache, expiry::MAX_IDLE_MS - 1, is_use, Some(session(0))).await.is_some());
            assert_eq!(find(&cache, expiry::MAX_IDLE_MS + 5, true, Some(session(0))).await.is_some(), is_valid);
            assert_eq!(revoked.is_cancelled(), !is_valid);
        }
    }

    #[tokio::test]
    async fn removed_credential_ends_only_its_own_streams() {
        let cache = CredentialCache::new(&CancellationToken::new());
        let revoked = find(&cache, 1, true, Some(session(0))).await.unwrap();
        cache.remove("other");
        cache.remove_sessions_of("other");
        assert!(!revoked.is_cancelled());
        cache.remove_sessions_of("p");
        assert!(revoked.is_cancelled());
        assert!(find(&cache, 2, true, None).await.is_none());
    }

    #[tokio::test]
    async fn cached_credential_survives_a_database_outage() {
        let cache = CredentialCache::new(&CancellationToken::new());
        find(&cache, 1, true, Some(session(0))).await.unwrap();
        let unavailable = || Err(StoreError::Gone);
        let digest = [1; 32];
        assert!(cache.find(&digest, (Timestamp(2), true), async || unavailable()).await.unwrap().is_some());
        assert!(cache.find(&[2; 32], (Timestamp(2), true), async || unavailable()).await.is_err());
    }

    #[test]
    fn cache_limits_writes_of_uses_and_failures() {
        let cache = CredentialCache::new(&CancellationToken::new());
        cache.store(&[1; 32], Some(session(0)));
        let writes = [0, 1, USE_WRITE_INTERVAL_MS - 1, USE_WRITE_INTERVAL_MS]
            .map(|now| cache.should_write_use(&[1; 32], Timestamp(now)));
        assert_eq!(writes, [true, false, false, true]);
        let audited = [0, 1, AUDIT_INTERVAL_MS - 1, AUDIT_INTERVAL_MS]
            .map(|now| cache.may_audit_invalid_credential(Timestamp(now)));
        assert_eq!(audited, [true, false, false, true]);
    }
}
