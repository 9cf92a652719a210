//! Who may use the server: its own token, named tokens, sessions of browsers, and codes that log in once.
//!
//! Secrets are random and kept as digests. Knows the store, nothing of HTTP; [`policy`] says which role a request needs.

mod audit_file;
mod known;
mod manage;
#[cfg(test)]
pub mod memory;
pub mod policy;
mod secret;
mod session;
mod token_file;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;

use crate::journal::{Journal, WriteError};
use crate::model::audit::AuditAction;
use crate::model::identity::OWNER;
use crate::model::{AuthMethod, Problem, Role, Timestamp};
use crate::runs::{Actor, refusal};
use crate::store::{
    AddSession, Digest, EndSession, GuardedCommand, NewAudit, RecordAudit, RedeemLoginCode, Store, StoreError,
    StoredCode, StoredSession, StoredToken, TouchSession, TouchToken,
};
pub use audit_file::{AuditFile, AuditFileError};
use known::{Credential, Known};
pub use manage::read_audit;
pub use secret::{NoRandomness, Purpose};
pub use token_file::{
    NAME as TOKEN_FILE, TokenFileError, read as read_token_file, read_or_create as read_or_create_token,
};

/// A link that logs in works for so long, in milliseconds: 15 minutes.
const CODE_MS: i64 = 15 * 60 * 1000;

/// How often it is looked whether logins and tokens are over whose streams are open.
const LOOK: Duration = Duration::from_secs(15);

/// The longest address of a refused request that is noted, in characters.
const LONGEST_WHAT: usize = 200;

/// The longest name of a browser that is kept, in characters.
const LONGEST_AGENT: usize = 200;

/// Writes who may use the server: the journal's writer, but for tests.
#[async_trait]
pub trait AccessWriter: Send + Sync {
    /// Carries this out, with its line of the audit log.
    ///
    /// # Errors
    /// [`WriteError::Refused`] as the command says; the database's own.
    async fn access(&self, command: GuardedCommand, note: Option<NewAudit>) -> Result<(), WriteError>;
}

#[async_trait]
impl AccessWriter for Journal {
    async fn access(&self, command: GuardedCommand, note: Option<NewAudit>) -> Result<(), WriteError> {
        self.execute(command, note).await
    }
}

/// Reads who may use the server: the [`Store`], but for tests.
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

/// Who may use the server. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    owner: Owner,
    store: Arc<dyn AccessReader>,
    writer: Arc<dyn AccessWriter>,
    known: Arc<Known>,
}

/// The server's own token.
#[derive(Clone)]
struct Owner {
    digest: Digest,
    /// What the sessions made with it name it by: not enough of a digest to find it.
    name: String,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access(…)")
    }
}

/// Somebody who may use the server.
#[derive(Clone, Debug)]
pub struct Granted {
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// How they have shown who they are.
    pub via: AuthMethod,
    /// The session, if it is one.
    pub session: Option<Session>,
    /// The token behind it: its id, or what stands for the server's own. `None` where there is none.
    pub parent: Option<String>,
    /// Cancelled when they may no longer.
    pub ends: CancellationToken,
}

/// The session of a request.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// Of the value that its pages send with changes.
    key_digest: Option<Digest>,
}

impl Session {
    /// Whether a change may be made with this value, or without one.
    pub fn admits(&self, key: Option<&str>) -> bool {
        let Some(expected) = &self.key_digest else { return true };
        key.is_some_and(|key| Purpose::Key.digest(key).ct_eq(expected).into())
    }
}

/// What a browser logs in with.
#[derive(Clone, Copy, Debug)]
pub enum LoginWith<'a> {
    /// A token.
    Token(&'a str),
    /// A code of a link.
    Code(&'a str),
}

/// A browser that logs in.
#[derive(Clone, Debug, Default)]
pub struct Browser {
    /// Its address.
    pub address: Option<String>,
    /// What it calls itself.
    pub agent: Option<String>,
    /// Whether a script runs there, which can keep the value that its pages send with changes.
    pub has_script: bool,
}

/// A login.
#[derive(Clone, Debug)]
pub struct Login {
    /// The value of the cookie.
    pub cookie: String,
    /// The value that its pages send with changes.
    pub key: Option<String>,
}

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The token or the code is wrong, is over, or was used.
    #[error("the token or the code is not right")]
    Wrong,
    /// See [`NoRandomness`].
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The database did not take it.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<StoreError> for LoginError {
    fn from(error: StoreError) -> Self {
        Self::Write(error.into())
    }
}

impl Access {
    /// Access with the server's own token. Everything ends with `stop`.
    pub fn new(
        token: &str,
        store: Arc<dyn AccessReader>,
        writer: Arc<dyn AccessWriter>,
        stop: &CancellationToken,
    ) -> Self {
        let digest = Purpose::Token.digest(token);
        let name = Purpose::Session.digest(digest)[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let owner = Owner { digest, name: format!("owner:{name}") };
        Self { owner, store, writer, known: Arc::new(Known::new(stop)) }
    }

    /// Whoever has this token.
    ///
    /// # Errors
    /// The database could not be read.
    pub async fn by_token(&self, secret: &[u8]) -> Result<Option<Granted>, StoreError> {
        let digest = Purpose::Token.digest(secret);
        if digest.ct_eq(&self.owner.digest).into() {
            let ends = self.known.stop();
            let (name, parent) = (OWNER.to_owned(), Some(self.owner.name.clone()));
            return Ok(Some(Granted { name, role: Role::Admin, via: AuthMethod::Token, session: None, parent, ends }));
        }
        let now = Timestamp::now();
        let store = &self.store;
        let read = async || Ok(store.token(&digest).await?.map(Credential::Token));
        let Some((Credential::Token(token), ends)) = self.known.find(&digest, (now, true), read).await? else {
            return Ok(None);
        };
        if self.known.is_news(&digest, now) {
            self.write_later(TouchToken { id: token.id.clone(), at: now });
        }
        let parent = Some(token.id);
        Ok(Some(Granted { name: token.name, role: token.role, via: AuthMethod::Token, session: None, parent, ends }))
    }

    /// Whoever has logged in with this cookie.
    ///
    /// # Errors
    /// The database could not be read.
    pub async fn by_cookie(&self, cookie: &str) -> Result<Option<Granted>, StoreError> {
        let digest = Purpose::Session.digest(cookie);
        let now = Timestamp::now();
        let read = async || self.read_session(&digest, now).await;
        let Some((Credential::Session(session), ends)) = self.known.find(&digest, (now, true), read).await? else {
            return Ok(None);
        };
        if self.known.is_news(&digest, now) {
            self.write_later(TouchSession { id: session.id.clone(), at: now });
        }
        let StoredSession { id, name, role, key_digest, parent, .. } = session;
        let session = Some(Session { id, key_digest });
        Ok(Some(Granted { name, role, via: AuthMethod::Session, session, parent: Some(parent), ends }))
    }

    /// A session whose token still works.
    async fn read_session(&self, digest: &Digest, now: Timestamp) -> Result<Option<Credential>, StoreError> {
        let Some(session) = self.store.session(digest).await? else { return Ok(None) };
        let has_parent = match session.parent.as_str() {
            owner if owner.starts_with("owner:") => owner == self.owner.name,
            id => self.store.tokens().await?.iter().any(|token| token.id == id && session::works(token, now)),
        };
        Ok(has_parent.then_some(Credential::Session(session)))
    }

    /// Logs a browser in.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn log_in(&self, with: LoginWith<'_>, browser: Browser) -> Result<Login, LoginError> {
        let (name, role, parent, code) = match with {
            LoginWith::Token(secret) => {
                let digest = Purpose::Token.digest(secret);
                if digest.ct_eq(&self.owner.digest).into() {
                    (OWNER.to_owned(), Role::Admin, self.owner.name.clone(), None)
                } else {
                    let token = self.store.token(&digest).await?;
                    let token =
                        token.filter(|token| session::works(token, Timestamp::now())).ok_or(LoginError::Wrong)?;
                    (token.name, token.role, token.id, None)
                }
            }
            LoginWith::Code(code) => {
                let digest = Purpose::Code.digest(code);
                let code = self.store.code(&digest).await?.ok_or(LoginError::Wrong)?;
                (code.name, code.role, code.parent, Some(digest))
            }
        };
        let (cookie, key) = (secret::generate()?, browser.has_script.then(secret::generate).transpose()?);
        let now = Timestamp::now();
        let session = StoredSession {
            id: uuid::Uuid::now_v7().to_string(),
            name,
            role,
            digest: Purpose::Session.digest(&cookie),
            key_digest: key.as_ref().map(|key| Purpose::Key.digest(key)),
            parent,
            address: browser.address,
            agent: browser.agent.map(|agent| agent.chars().filter(|c| !c.is_control()).take(LONGEST_AGENT).collect()),
            created_at: now,
            seen_at: now,
            expires_at: Timestamp(now.0.saturating_add(session::LONGEST_MS)),
        };
        let note = NewAudit {
            at: now,
            actor: session.name.clone(),
            via: AuthMethod::Session.word(),
            address: session.address.clone(),
            action: AuditAction::Login,
            run: None,
            outcome: crate::runs::DONE.to_owned(),
            detail: code.map(|_| "by a login link".to_owned()),
        };
        let op = match code {
            Some(digest) => RedeemLoginCode { digest, session }.into(),
            None => AddSession { session }.into(),
        };
        match self.writer.access(op, Some(note)).await {
            // Another browser was faster with the code.
            Err(WriteError::Refused) => Err(LoginError::Wrong),
            done => Ok(done.map(|()| Login { cookie, key })?),
        }
    }

    /// Ends the session of a request, and its streams.
    ///
    /// # Errors
    /// The database did not take it.
    pub async fn log_out(&self, session: &Session, by: &Actor) -> Result<(), WriteError> {
        match self
            .writer
            .access(EndSession { id: session.id.clone() }.into(), Some(by.note(AuditAction::Logout, None, None)))
            .await
        {
            // It is over already.
            Ok(()) | Err(WriteError::Refused) => {}
            Err(error) => return Err(error),
        }
        self.known.forget(&session.id);
        Ok(())
    }

    /// Notes in the audit log that somebody was refused, at most once a second: nobody is to fill the disk. Nothing waits for it.
    pub fn note_refused(&self, actor: &Actor, what: &str, problem: &Problem) {
        if !self.known.may_note_refused(Timestamp::now()) {
            return;
        }
        let what: String = what.chars().take(LONGEST_WHAT).collect();
        let note = NewAudit { outcome: refusal(problem), ..actor.note(AuditAction::Refused, None, Some(what)) };
        self.note_later(note);
    }

    /// Notes in the audit log that somebody showed something wrong.
    pub fn note_wrong(&self, address: Option<String>, what: &str) {
        if !self.known.may_note(Timestamp::now()) {
            return;
        }
        self.note_later(NewAudit {
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

    fn note_later(&self, note: NewAudit) {
        let writer = Arc::clone(&self.writer);
        tokio::spawn(async move {
            if let Err(error) = writer.access(RecordAudit(note).into(), None).await {
                tracing::warn!(%error, "a line of the audit log was not written");
            }
        });
    }

    /// For what nobody waits for: when something was used last.
    fn write_later(&self, command: impl Into<GuardedCommand>) {
        let command = command.into();
        let writer = Arc::clone(&self.writer);
        tokio::spawn(async move {
            // The next use says it again.
            let _ = writer.access(command, None).await;
        });
    }

    /// Ends the streams of logins and tokens that are over.
    pub async fn watch(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = Timestamp::now();
            for (digest, is_session) in self.known.open() {
                let read = async || {
                    if is_session {
                        self.read_session(&digest, now).await
                    } else {
                        Ok(self.store.token(&digest).await?.map(Credential::Token))
                    }
                };
                // A database that is away says nothing about logins.
                let _ = self.known.find(&digest, (now, false), read).await;
            }
        }
    }
}
