//! Administration: create and revoke tokens, end sessions, create login codes, and read the audit log.

use std::sync::Arc;

use super::Actor;
use super::credential_cache::CredentialCache;
use super::expiry::is_session_valid;
use super::secret::{self, TOKEN_PREFIX};
use super::{AccessReader, AccessWriter, Purpose};
use crate::journal::WriteError;
use crate::model::access::{AccessList, CreatedToken, SessionView, TokenView};
use crate::model::audit::{AuditAction, AuditFilter, AuditPage};
use crate::model::identity::{OWNER, is_name};
use crate::model::visible::plain;
use crate::model::{Problem, ProblemCode, Role, Timestamp};
use crate::store::{AddLoginCode, AddToken, EndSession, RevokeToken, Store, StoredCode, StoredSession, StoredToken};

/// Entries on a page of the audit log by default.
const DEFAULT_AUDIT_ENTRIES: u32 = 50;

/// The most entries that a page of the audit log may have.
const MAX_AUDIT_ENTRIES: u32 = 200;

/// A login code is valid for 15 minutes.
const LOGIN_CODE_LIFETIME_MS: i64 = 15 * 60 * 1000;

/// The longest lifetime of a token that expires: ten years.
const MAX_TOKEN_LIFETIME_MS: i64 = 10 * 366 * 24 * 60 * 60 * 1000;

/// Names that the audit log and `--user-role` use for others.
const RESERVED_NAMES: [&str; 3] = [OWNER, "unknown", "*"];

fn view_token(token: StoredToken) -> TokenView {
    let StoredToken { id, name, role, created_at, created_by, expires_at, used_at, digest: _ } = token;
    TokenView { id, name, role, created_at, created_by, expires_at, used_at }
}

fn view_session(session: StoredSession, current: Option<&str>) -> SessionView {
    let current = current == Some(session.id.as_str());
    let StoredSession { id, name, role, address, agent, created_at, seen_at, expires_at, .. } = session;
    SessionView { id, name, role, address, agent, created_at, seen_at, expires_at, current }
}

impl From<secret::NoRandomness> for Problem {
    fn from(error: secret::NoRandomness) -> Self {
        Self::new(ProblemCode::Internal, error.to_string())
    }
}

/// Manages tokens, sessions and login codes. The caller has checked the role.
pub struct AccessAdmin {
    /// The parent of sessions that were created with the server's own token.
    owner_parent: String,
    store: Arc<dyn AccessReader>,
    writer: Arc<dyn AccessWriter>,
    cache: Arc<CredentialCache>,
}

impl AccessAdmin {
    pub(super) fn new(
        owner_parent: String,
        store: Arc<dyn AccessReader>,
        writer: Arc<dyn AccessWriter>,
        cache: Arc<CredentialCache>,
    ) -> Self {
        Self { owner_parent, store, writer, cache }
    }

    /// All tokens, newest first.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, Problem> {
        Ok(self.store.tokens().await?.into_iter().map(view_token).collect())
    }

    /// The sessions that `by` may see: those of the same token, or all for admins. `current` is the session of the
    /// request.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn sessions(&self, by: &Actor, current: Option<&str>) -> Result<Vec<SessionView>, Problem> {
        let now = Timestamp::now();
        let mut sessions = self.store.sessions(now).await?;
        sessions.retain(|session| is_session_valid(session, now) && may_end(by, session));
        Ok(sessions.into_iter().map(|session| view_session(session, current)).collect())
    }

    /// [`Self::tokens`] and [`Self::sessions`].
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn list(&self, by: &Actor, current: Option<&str>) -> Result<AccessList, Problem> {
        Ok(AccessList { tokens: self.tokens().await?, sessions: self.sessions(by, current).await? })
    }

    /// Creates a token. Without `lifetime_ms` it is valid until it is revoked.
    ///
    /// # Errors
    /// [`ProblemCode::BadRequest`]: the name or lifetime is not allowed; [`ProblemCode::NameTaken`]; errors of the
    /// database.
    pub async fn create_token(
        &self,
        name: &str,
        role: Role,
        lifetime_ms: Option<i64>,
        by: &Actor,
    ) -> Result<CreatedToken, Problem> {
        if !is_name(name)
            || plain(name) != name
            || RESERVED_NAMES.contains(&name)
            || uuid::Uuid::try_parse(name).is_ok()
        {
            let detail = "The name of a token is 1 to 100 bytes of visible text on one line, without blanks at its ends; `operator`, \
                 `unknown`, `*` and ids are no names.";
            return Err(Problem::new(ProblemCode::BadRequest, detail));
        }
        if lifetime_ms.is_some_and(|lifetime| !(1..=MAX_TOKEN_LIFETIME_MS).contains(&lifetime)) {
            let detail =
                "A token lasts from a moment up to ten years; leave the time out for one that does not expire.";
            return Err(Problem::new(ProblemCode::BadRequest, detail));
        }
        let (secret, now) = (format!("{TOKEN_PREFIX}{}", secret::generate()?), Timestamp::now());
        let token = StoredToken {
            id: uuid::Uuid::now_v7().to_string(),
            name: name.to_owned(),
            role,
            digest: Purpose::Token.digest(&secret),
            created_at: now,
            created_by: by.name.clone(),
            expires_at: lifetime_ms.map(|lifetime| Timestamp(now.0.saturating_add(lifetime))),
            used_at: None,
        };
        let audit = by.audit_entry(AuditAction::TokenCreate, None, Some(format!("{name} ({role})")));
        match self.writer.access(AddToken { token: token.clone() }.into(), Some(audit)).await {
            Err(WriteError::Refused) => {
                let detail = format!("There is a token `{name}`. Choose another name, or revoke that one first.");
                Err(Problem::new(ProblemCode::NameTaken, detail))
            }
            written => Ok(written.map(|()| CreatedToken { view: view_token(token), token: secret })?),
        }
    }

    /// Revokes a token, by its id or name. Sessions that were created with it end, and so do the streams of all of
    /// them.
    ///
    /// # Errors
    /// [`ProblemCode::AccessNotFound`]; errors of the database.
    pub async fn revoke_token(&self, token: &str, by: &Actor) -> Result<(), Problem> {
        let not_found = || Problem::new(ProblemCode::AccessNotFound, format!("There is no token `{token}`."));
        let tokens = self.store.tokens().await?;
        let by_id = tokens.iter().find(|known| known.id == token);
        let found = by_id.or_else(|| tokens.iter().find(|known| known.name == token));
        let StoredToken { id, name, .. } = found.cloned().ok_or_else(not_found)?;
        let audit = by.audit_entry(AuditAction::TokenRevoke, None, Some(name));
        match self.writer.access(RevokeToken { id: id.clone() }.into(), Some(audit)).await {
            Err(WriteError::Refused) => return Err(not_found()),
            written => written?,
        }
        self.cache.remove(&id);
        self.cache.remove_sessions_of(&id);
        Ok(())
    }

    /// Ends a session and its streams. Only admins may end sessions of other tokens.
    ///
    /// # Errors
    /// [`ProblemCode::AccessNotFound`], also for a session that `by` may not end; errors of the database.
    pub async fn end_session(&self, id: &str, by: &Actor) -> Result<(), Problem> {
        let not_found = || Problem::new(ProblemCode::AccessNotFound, format!("There is no session `{id}` of yours."));
        let sessions = self.store.sessions(Timestamp::now()).await?;
        let session =
            sessions.into_iter().find(|session| session.id == id && may_end(by, session)).ok_or_else(not_found)?;
        let audit = by.audit_entry(AuditAction::SessionEnd, None, Some(session.name));
        match self.writer.access(EndSession { id: id.to_owned() }.into(), Some(audit)).await {
            Err(WriteError::Refused) => return Err(not_found()),
            written => written?,
        }
        self.cache.remove(id);
        Ok(())
    }

    /// Creates a login code, which works once: as `by`, or as the owner of the server. Returns it and when it expires.
    ///
    /// # Errors
    /// [`ProblemCode::Internal`]: the system has no random bytes; errors of the database.
    pub async fn create_login_code(&self, by: Option<&Actor>) -> Result<(String, Timestamp), Problem> {
        let code = secret::generate()?;
        let expires_at = Timestamp(Timestamp::now().0.saturating_add(LOGIN_CODE_LIFETIME_MS));
        let stored = StoredCode {
            digest: Purpose::Code.digest(&code),
            name: by.map_or_else(|| OWNER.to_owned(), |by| by.name.clone()),
            role: by.map_or(Role::Admin, |by| by.role),
            parent: by.and_then(|by| by.parent.clone()).unwrap_or_else(|| self.owner_parent.clone()),
            expires_at,
        };
        let audit = by.map(|by| by.audit_entry(AuditAction::LoginLink, None, None));
        self.writer.access(AddLoginCode { code: stored }.into(), audit).await?;
        Ok((code, expires_at))
    }
}

/// Whether `by` may see and end a session.
fn may_end(by: &Actor, session: &StoredSession) -> bool {
    by.role.allows(Role::Admin) || by.parent.as_ref() == Some(&session.parent)
}

/// Entries of the audit log, newest first.
///
/// # Errors
/// [`ProblemCode::BadRequest`]: the limit is out of bounds; errors of the database.
pub async fn read_audit(store: &Store, filter: &AuditFilter) -> Result<AuditPage, Problem> {
    let limit = match filter.limit {
        None => DEFAULT_AUDIT_ENTRIES,
        Some(limit) if (1..=MAX_AUDIT_ENTRIES).contains(&limit) => limit,
        Some(limit) => {
            let detail = format!("The limit {limit} is out of bounds; give 1 to {MAX_AUDIT_ENTRIES}.");
            return Err(Problem::new(ProblemCode::BadRequest, detail));
        }
    };
    let mut entries = store.audit(filter, limit + 1).await?;
    let has_more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let next = entries.last().filter(|_| has_more).map(|last| last.id);
    Ok(AuditPage { entries, next })
}

/// The lifetime of a token, in milliseconds, from a duration such as `90d`.
///
/// # Errors
/// [`ProblemCode::BadRequest`]: the text is not a duration.
pub fn parse_lifetime_ms(text: &str) -> Result<i64, Problem> {
    let error = || Problem::new(ProblemCode::BadRequest, format!("`{text}` is no duration; write 12h, 90d or 1y."));
    let lifetime = humantime::parse_duration(text).map_err(|_| error())?;
    i64::try_from(lifetime.as_millis()).map_err(|_| error())
}
