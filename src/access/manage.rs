//! What admins do: make and revoke tokens, end sessions, make login links, and read the audit log.

use super::secret::{self, TOKEN_PREFIX};
use super::session::holds;
use super::{Access, CODE_MS, Purpose};
use crate::feed::visible::plain;
use crate::journal::WriteError;
use crate::model::access::{AccessList, CreatedToken, SessionView, TokenView};
use crate::model::audit::{AuditAction, AuditFilter, AuditPage};
use crate::model::identity::{OWNER, is_name};
use crate::model::{Problem, ProblemCode, Role, Timestamp};
use crate::runs::Actor;
use crate::store::{AddLoginCode, AddToken, EndSession, RevokeToken, Store, StoredCode, StoredSession, StoredToken};

/// Lines a page of the audit log holds if nothing else is asked for, and the most that may be asked for.
const LINES: (u32, u32) = (50, 200);

/// A token lasts at most this long, in milliseconds, unless it does not expire: ten years.
const LONGEST_TOKEN_MS: i64 = 10 * 366 * 24 * 60 * 60 * 1000;

/// Names that would be taken for somebody else.
const RESERVED: [&str; 3] = [OWNER, "unknown", "*"];

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

impl Access {
    /// All tokens, newest first.
    ///
    /// # Errors
    /// The database's own.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, Problem> {
        Ok(self.store.tokens().await?.into_iter().map(view_token).collect())
    }

    /// The sessions that this person may see: those of the same token, or all for admins. `current` is the one that asks.
    ///
    /// # Errors
    /// The database's own.
    pub async fn sessions(&self, by: &Actor, current: Option<&str>) -> Result<Vec<SessionView>, Problem> {
        let now = Timestamp::now();
        let mut sessions = self.store.sessions(now).await?;
        sessions.retain(|session| holds(session, now) && may_end(by, session));
        Ok(sessions.into_iter().map(|session| view_session(session, current)).collect())
    }

    /// Tokens and sessions.
    ///
    /// # Errors
    /// The database's own.
    pub async fn list(&self, by: &Actor, current: Option<&str>) -> Result<AccessList, Problem> {
        Ok(AccessList { tokens: self.tokens().await?, sessions: self.sessions(by, current).await? })
    }

    /// Makes a token with this name and role, which works for so many milliseconds, or until it is revoked.
    ///
    /// # Errors
    /// [`ProblemCode::BadRequest`], [`ProblemCode::NameTaken`]; the database's own.
    pub async fn create_token(
        &self,
        name: &str,
        role: Role,
        lasts_ms: Option<i64>,
        by: &Actor,
    ) -> Result<CreatedToken, Problem> {
        if !is_name(name) || plain(name) != name || RESERVED.contains(&name) || uuid::Uuid::try_parse(name).is_ok() {
            let detail = "The name of a token is 1 to 100 bytes of visible text on one line, without blanks at its ends; `operator`, \
                 `unknown`, `*` and ids are no names.";
            return Err(Problem::new(ProblemCode::BadRequest, detail));
        }
        if lasts_ms.is_some_and(|lasts| !(1..=LONGEST_TOKEN_MS).contains(&lasts)) {
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
            expires_at: lasts_ms.map(|lasts| Timestamp(now.0.saturating_add(lasts))),
            used_at: None,
        };
        let note = by.note(AuditAction::TokenCreate, None, Some(format!("{name} ({role})")));
        match self.writer.access(AddToken { token: token.clone() }.into(), Some(note)).await {
            Err(WriteError::Refused) => {
                let detail = format!("There is a token `{name}`. Choose another name, or revoke that one first.");
                Err(Problem::new(ProblemCode::NameTaken, detail))
            }
            done => Ok(done.map(|()| CreatedToken { view: view_token(token), token: secret })?),
        }
    }

    /// Revokes a token, by its id or its name. Sessions that were made with it, and their streams, end.
    ///
    /// # Errors
    /// [`ProblemCode::AccessNotFound`]; the database's own.
    pub async fn revoke_token(&self, token: &str, by: &Actor) -> Result<(), Problem> {
        let none = || Problem::new(ProblemCode::AccessNotFound, format!("There is no token `{token}`."));
        let tokens = self.store.tokens().await?;
        let found =
            tokens.iter().find(|known| known.id == token).or_else(|| tokens.iter().find(|known| known.name == token));
        let StoredToken { id, name, .. } = found.cloned().ok_or_else(none)?;
        let note = by.note(AuditAction::TokenRevoke, None, Some(name));
        match self.writer.access(RevokeToken { id: id.clone() }.into(), Some(note)).await {
            Err(WriteError::Refused) => return Err(none()),
            done => done?,
        }
        self.known.forget(&id);
        self.known.forget_of(&id);
        Ok(())
    }

    /// Ends a session and its streams: one's own, or any for admins.
    ///
    /// # Errors
    /// [`ProblemCode::AccessNotFound`], also for the session of somebody else; the database's own.
    pub async fn end_session(&self, id: &str, by: &Actor) -> Result<(), Problem> {
        let none = || Problem::new(ProblemCode::AccessNotFound, format!("There is no session `{id}` of yours."));
        let sessions = self.store.sessions(Timestamp::now()).await?;
        let session = sessions.into_iter().find(|session| session.id == id && may_end(by, session)).ok_or_else(none)?;
        let note = by.note(AuditAction::SessionEnd, None, Some(session.name));
        match self.writer.access(EndSession { id: id.to_owned() }.into(), Some(note)).await {
            Err(WriteError::Refused) => return Err(none()),
            done => done?,
        }
        self.known.forget(id);
        Ok(())
    }

    /// Makes a code that logs one browser in, once: as whoever asks, or as the owner of the server. Returns it and when it stops working.
    ///
    /// # Errors
    /// The system gives no random bytes; the database's own.
    pub async fn create_code(&self, by: Option<&Actor>) -> Result<(String, Timestamp), Problem> {
        let code = secret::generate()?;
        let expires_at = Timestamp(Timestamp::now().0.saturating_add(CODE_MS));
        let stored = StoredCode {
            digest: Purpose::Code.digest(&code),
            name: by.map_or_else(|| OWNER.to_owned(), |by| by.name.clone()),
            role: by.map_or(Role::Admin, |by| by.role),
            parent: by.and_then(|by| by.parent.clone()).unwrap_or_else(|| self.owner.name.clone()),
            expires_at,
        };
        let note = by.map(|by| by.note(AuditAction::LoginLink, None, None));
        self.writer.access(AddLoginCode { code: stored }.into(), note).await?;
        Ok((code, expires_at))
    }
}

/// Whether somebody may see and end a session.
fn may_end(by: &Actor, session: &StoredSession) -> bool {
    by.role.allows(Role::Admin) || by.parent.as_ref() == Some(&session.parent)
}

/// Lines of the audit log, newest first.
///
/// # Errors
/// [`ProblemCode::BadRequest`] for a limit out of bounds; the database's own.
pub async fn read_audit(store: &Store, filter: &AuditFilter) -> Result<AuditPage, Problem> {
    let limit = match filter.limit {
        None => LINES.0,
        Some(limit) if (1..=LINES.1).contains(&limit) => limit,
        Some(limit) => {
            let detail = format!("The limit {limit} is out of bounds; give 1 to {}.", LINES.1);
            return Err(Problem::new(ProblemCode::BadRequest, detail));
        }
    };
    let mut entries = store.audit(filter, limit + 1).await?;
    let has_more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let next = entries.last().filter(|_| has_more).map(|last| last.id);
    Ok(AuditPage { entries, next })
}
