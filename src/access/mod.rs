//! Who may use the server: its own token, named tokens, browser sessions, and login codes that work once. Secrets are
//! random and stored as digests. An [`Actor`] is who makes a request, and [`policy`] says which role it needs. Knows
//! the store, not HTTP.

mod actor;
mod admin;
mod audit_file;
mod credential_cache;
mod expiry;
mod login;
#[cfg(test)]
pub mod memory;
pub mod policy;
mod principal;
mod secret;
mod token_file;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;

use crate::journal::{Journal, WriteError};
use crate::model::audit::AuditAction;
use crate::model::identity::OWNER;
use crate::model::{AuthMethod, Problem, ProblemCode, Role, Timestamp};
use crate::store::{
    AddSession, Digest, EndSession, GuardedCommand, NewAudit, RecordAudit, RedeemLoginCode, Store, StoreError,
    StoredCode, StoredSession, StoredToken, TouchSession, TouchToken,
};
pub use actor::{Actor, refused_outcome, trigger_audit_entry};
use actor::{OUTCOME_DONE, audit_via};
pub use admin::{AccessAdmin, parse_lifetime_ms, read_audit};
pub use audit_file::{AuditFile, AuditFileError};
use credential_cache::{CredentialCache, StoredCredential};
pub use login::{BrowserInfo, LoginCredential, LoginError, LoginSecrets};
pub use principal::{Principal, RequestSession, forbidden};
pub use secret::{NoRandomness, Purpose};
pub use token_file::{
    TOKEN_FILE_NAME, TokenFileError, read as read_token_file, read_or_create as read_or_create_token,
    restore as restore_token_file,
};

/// How often the credentials with open streams are checked for expiry.
const RECHECK_INTERVAL: Duration = Duration::from_secs(15);

/// The length to which the target of a rejected request is cut in the audit log.
const MAX_AUDIT_TARGET_CHARS: usize = 200;

/// The length to which a browser's `User-Agent` is cut.
const MAX_USER_AGENT_CHARS: usize = 200;

/// Writes tokens, sessions and the audit log. In the server, that is the journal's writer.
#[async_trait]
pub trait AccessWriter: Send + Sync {
    /// Executes `command` and writes `audit` in the same transaction.
    ///
    /// # Errors
    /// [`WriteError::Refused`] as the command says; errors of the database.
    async fn access(&self, command: GuardedCommand, audit: Option<NewAudit>) -> Result<(), WriteError>;
}

#[async_trait]
impl AccessWriter for Journal {
    async fn access(&self, command: GuardedCommand, audit: Option<NewAudit>) -> Result<(), WriteError> {
        self.execute(command, audit).await
    }
}

/// Reads tokens, sessions and login codes. In the server, that is the [`Store`].
#[async_trait]
pub trait AccessReader: Send + Sync {
    /// The session whose cookie has this digest.
    ///
    /// # Errors
    /// The database could not be read. Likewise below.
    async fn session(&self, digest: &Digest) -> Result<Option<StoredSession>, StoreError>;

    /// All sessions that end after `now`, the one that was used last first.
    async fn sessions(&self, now: Timestamp) -> Result<Vec<StoredSession>, StoreError>;

    /// The token whose secret has this digest.
    async fn token(&self, digest: &Digest) -> Result<Option<StoredToken>, StoreError>;

    /// All tokens, newest first.
    async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError>;

    /// The login code with this digest.
    async fn code(&self, digest: &Digest) -> Result<Option<StoredCode>, StoreError>;
}

#[async_trait]
impl AccessReader for Store {
    async fn session(&self, digest: &Digest) -> Result<Option<StoredSession>, StoreError> {
        Self::session(self, digest).await
    }

    async fn sessions(&self, now: Timestamp) -> Result<Vec<StoredSession>, StoreError> {
        Self::sessions(self, now).await
    }

    async fn token(&self, digest: &Digest) -> Result<Option<StoredToken>, StoreError> {
        Self::token(self, digest).await
    }

    async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        Self::tokens(self).await
    }

    async fn code(&self, digest: &Digest) -> Result<Option<StoredCode>, StoreError> {
        Self::code(self, digest).await
    }
}

/// The server runs with `--no-token`, so it has no tokens and no sessions.
#[derive(Clone, Copy, Debug)]
pub struct NoAccessControl;

impl From<NoAccessControl> for Problem {
    fn from(_: NoAccessControl) -> Self {
        Self::new(ProblemCode::NotFound, "This server was started with --no-token: it has no tokens and no sessions.")
    }
}

/// Authenticates tokens and sessions, and logs browsers in and out. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    server_token: ServerToken,
    store: Arc<dyn AccessReader>,
    writer: Arc<dyn AccessWriter>,
    cache: Arc<CredentialCache>,
}

/// The server's own token.
#[derive(Clone)]
struct ServerToken {
    digest: Digest,
    /// The parent of the sessions that were created with it. Contains too little of the digest to find the token.
    parent: String,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access(…)")
    }
}

impl Access {
    /// Access with the server's own token. All streams end with `stop`.
    pub fn new(
        token: &str,
        store: Arc<dyn AccessReader>,
        writer: Arc<dyn AccessWriter>,
        stop: &CancellationToken,
    ) -> Self {
        let digest = Purpose::Token.digest(token);
        let id = Purpose::Session.digest(digest)[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let server_token = ServerToken { digest, parent: format!("owner:{id}") };
        Self { server_token, store, writer, cache: Arc::new(CredentialCache::new(stop)) }
    }

    /// Manages tokens, sessions and login codes.
    pub fn admin(&self) -> AccessAdmin {
        let owner_parent = self.server_token.parent.clone();
        AccessAdmin::new(owner_parent, Arc::clone(&self.store), Arc::clone(&self.writer), Arc::clone(&self.cache))
    }

    /// The principal with this token. `None` if no valid token matches.
    ///
    /// # Errors
    /// The database could not be read.
    pub async fn by_token(&self, secret: &[u8]) -> Result<Option<Principal>, StoreError> {
        let digest = Purpose::Token.digest(secret);
        if digest.ct_eq(&self.server_token.digest).into() {
            let (name, parent) = (OWNER.to_owned(), Some(self.server_token.parent.clone()));
            let revoked = self.cache.stop();
            return Ok(Some(Principal {
                name,
                role: Role::Admin,
                via: AuthMethod::Token,
                session: None,
                parent,
                revoked,
            }));
        }
        let now = Timestamp::now();
        let store = &self.store;
        let read = async || Ok(store.token(&digest).await?.map(StoredCredential::Token));
        let Some((StoredCredential::Token(token), revoked)) = self.cache.find(&digest, (now, true), read).await? else {
            return Ok(None);
        };
        if self.cache.should_write_use(&digest, now) {
            self.write_in_background(TouchToken { id: token.id.clone(), at: now });
        }
        let parent = Some(token.id);
        Ok(Some(Principal {
            name: token.name,
            role: token.role,
            via: AuthMethod::Token,
            session: None,
            parent,
            revoked,
        }))
    }

    /// The principal whose session has this cookie. `None` if no valid session matches.
    ///
    /// # Errors
    /// The database could not be read.
    pub async fn by_cookie(&self, cookie: &str) -> Result<Option<Principal>, StoreError> {
        let digest = Purpose::Session.digest(cookie);
        let now = Timestamp::now();
        let read = async || self.read_session(&digest, now).await;
        let Some((StoredCredential::Session(session), revoked)) = self.cache.find(&digest, (now, true), read).await?
        else {
            return Ok(None);
        };
        if self.cache.should_write_use(&digest, now) {
            self.write_in_background(TouchSession { id: session.id.clone(), at: now });
        }
        let StoredSession { id, name, role, key_digest, parent, .. } = session;
        let session = Some(RequestSession::new(id, key_digest));
        Ok(Some(Principal { name, role, via: AuthMethod::Session, session, parent: Some(parent), revoked }))
    }

    /// The session with this digest. `None` if the token that it was created with is no longer valid.
    async fn read_session(&self, digest: &Digest, now: Timestamp) -> Result<Option<StoredCredential>, StoreError> {
        let Some(session) = self.store.session(digest).await? else { return Ok(None) };
        let is_parent_valid = match session.parent.as_str() {
            owner if owner.starts_with("owner:") => owner == self.server_token.parent,
            id => self.store.tokens().await?.iter().any(|token| token.id == id && expiry::is_token_valid(token, now)),
        };
        Ok(is_parent_valid.then_some(StoredCredential::Session(session)))
    }

    /// Creates a session for a browser.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn log_in(
        &self,
        credential: LoginCredential<'_>,
        browser: BrowserInfo,
    ) -> Result<LoginSecrets, LoginError> {
        let now = Timestamp::now();
        let (name, role, parent, code) = self.identify(credential, now).await?;
        let (cookie, key) = (secret::generate()?, browser.has_script.then(secret::generate).transpose()?);
        let user_agent = |agent: String| agent.chars().filter(|c| !c.is_control()).take(MAX_USER_AGENT_CHARS).collect();
        let session = StoredSession {
            id: uuid::Uuid::now_v7().to_string(),
            name,
            role,
            digest: Purpose::Session.digest(&cookie),
            key_digest: key.as_ref().map(|key| Purpose::Key.digest(key)),
            parent,
            address: browser.address,
            agent: browser.agent.map(user_agent),
            created_at: now,
            seen_at: now,
            expires_at: Timestamp(now.0.saturating_add(expiry::MAX_SESSION_MS)),
        };
        let audit = NewAudit {
            at: now,
            actor: session.name.clone(),
            via: audit_via(AuthMethod::Session),
            address: session.address.clone(),
            action: AuditAction::Login,
            run: None,
            outcome: OUTCOME_DONE.to_owned(),
            detail: code.map(|_| "by a login link".to_owned()),
        };
        let command = match code {
            Some(digest) => RedeemLoginCode { digest, session }.into(),
            None => AddSession { session }.into(),
        };
        match self.writer.access(command, Some(audit)).await {
            // Another browser has used the code in the meantime.
            Err(WriteError::Refused) => Err(LoginError::Invalid),
            written => Ok(written.map(|()| LoginSecrets { cookie, key })?),
        }
    }

    /// Name, role and parent of the session that `credential` creates, and the digest of the login code if it is one.
    async fn identify(
        &self,
        credential: LoginCredential<'_>,
        now: Timestamp,
    ) -> Result<(String, Role, String, Option<Digest>), LoginError> {
        match credential {
            LoginCredential::Token(secret) => {
                let digest = Purpose::Token.digest(secret);
                if digest.ct_eq(&self.server_token.digest).into() {
                    return Ok((OWNER.to_owned(), Role::Admin, self.server_token.parent.clone(), None));
                }
                let token = self.store.token(&digest).await?.filter(|token| expiry::is_token_valid(token, now));
                let token = token.ok_or(LoginError::Invalid)?;
                Ok((token.name, token.role, token.id, None))
            }
            LoginCredential::Code(code) => {
                let digest = Purpose::Code.digest(code);
                let code = self.store.code(&digest).await?.ok_or(LoginError::Invalid)?;
                Ok((code.name, code.role, code.parent, Some(digest)))
            }
        }
    }

    /// Ends the session of a request, and its streams.
    ///
    /// # Errors
    /// The database did not accept the write.
    pub async fn log_out(&self, session: &RequestSession, by: &Actor) -> Result<(), WriteError> {
        let audit = by.audit_entry(AuditAction::Logout, None, None);
        match self.writer.access(EndSession { id: session.id.clone() }.into(), Some(audit)).await {
            // Refused: the session has ended already.
            Ok(()) | Err(WriteError::Refused) => {}
            Err(error) => return Err(error),
        }
        self.cache.remove(&session.id);
        Ok(())
    }

    /// Writes to the audit log that a request was rejected, at most once a second, so that nobody can fill the disk.
    pub fn audit_rejection(&self, actor: &Actor, target: &str, problem: &Problem) {
        if !self.cache.may_audit_rejection(Timestamp::now()) {
            return;
        }
        let target: String = target.chars().take(MAX_AUDIT_TARGET_CHARS).collect();
        self.write_audit_in_background(NewAudit {
            outcome: refused_outcome(problem),
            ..actor.audit_entry(AuditAction::Refused, None, Some(target))
        });
    }

    /// Writes to the audit log that somebody sent an invalid credential, at most once a second.
    pub fn audit_invalid_credential(&self, address: Option<String>, what: &str) {
        if !self.cache.may_audit_invalid_credential(Timestamp::now()) {
            return;
        }
        self.write_audit_in_background(NewAudit {
            at: Timestamp::now(),
            actor: "unknown".to_owned(),
            via: "none",
            address,
            action: AuditAction::LoginRefused,
            run: None,
            outcome: "unauthorized".to_owned(),
            detail: Some(what.to_owned()),
        });
    }

    fn write_audit_in_background(&self, audit: NewAudit) {
        let writer = Arc::clone(&self.writer);
        tokio::spawn(async move {
            let (action, actor) = (audit.action, audit.actor.clone());
            if let Err(error) = writer.access(RecordAudit(audit).into(), None).await {
                tracing::warn!(%error, ?action, actor, "an entry of the audit log was lost: the database did not accept it");
            }
        });
    }

    /// Writes the time of the last use. A failure is ignored, because the next use writes it again.
    fn write_in_background(&self, command: impl Into<GuardedCommand>) {
        let command = command.into();
        let writer = Arc::clone(&self.writer);
        tokio::spawn(async move {
            let _ = writer.access(command, None).await;
        });
    }

    /// Ends the streams of sessions and tokens that have expired, until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RECHECK_INTERVAL) => {}
            }
            let now = Timestamp::now();
            for (digest, is_session) in self.cache.digests() {
                let read = async || {
                    if is_session {
                        self.read_session(&digest, now).await
                    } else {
                        Ok(self.store.token(&digest).await?.map(StoredCredential::Token))
                    }
                };
                // While the database is unavailable, cached credentials stay valid.
                let _ = self.cache.find(&digest, (now, false), read).await;
            }
        }
    }
}
