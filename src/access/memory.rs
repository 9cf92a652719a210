//! Tokens and sessions in memory, for tests of the guard whose clock stands still.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{AccessReader, AccessWriter};
use crate::journal::WriteError;
use crate::store::{
    AddLoginCode, AddSession, AddToken, Digest, EndSession, GuardedCommand, NewAudit, RecordAudit, RedeemLoginCode,
    RevokeToken, StoreError, StoredCode, StoredSession, StoredToken,
};

/// See the module.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    sessions: Vec<StoredSession>,
    tokens: Vec<StoredToken>,
    codes: Vec<StoredCode>,
    audit: Vec<NewAudit>,
}

impl Memory {
    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The lines of the audit log.
    pub fn audit(&self) -> Vec<NewAudit> {
        self.with(|kept| kept.audit.clone())
    }
}

#[async_trait]
impl AccessWriter for Memory {
    async fn access(&self, command: GuardedCommand, note: Option<NewAudit>) -> Result<(), WriteError> {
        self.with(|kept| {
            match command {
                GuardedCommand::RecordAudit(RecordAudit(line)) => kept.audit.push(line),
                GuardedCommand::AddSession(AddSession { session }) => kept.sessions.push(session),
                GuardedCommand::RedeemLoginCode(RedeemLoginCode { digest, session }) => {
                    let at = kept.codes.iter().position(|code| code.digest == digest).ok_or(WriteError::Refused)?;
                    kept.codes.remove(at);
                    kept.sessions.push(session);
                }
                GuardedCommand::EndSession(EndSession { id }) => kept.sessions.retain(|session| session.id != id),
                GuardedCommand::AddToken(AddToken { token }) => kept.tokens.push(token),
                GuardedCommand::RevokeToken(RevokeToken { id }) => {
                    kept.tokens.retain(|token| token.id != id);
                    kept.sessions.retain(|session| session.parent != id);
                }
                GuardedCommand::AddLoginCode(AddLoginCode { code }) => kept.codes.push(code),
                _ => {}
            }
            kept.audit.extend(note);
            Ok(())
        })
    }
}

#[async_trait]
impl AccessReader for Memory {
    async fn session(&self, digest: &Digest) -> Result<Option<StoredSession>, StoreError> {
        Ok(self.with(|kept| kept.sessions.iter().find(|session| session.digest == *digest).cloned()))
    }

    async fn sessions(&self, _now: crate::model::Timestamp) -> Result<Vec<StoredSession>, StoreError> {
        Ok(self.with(|kept| kept.sessions.clone()))
    }

    async fn token(&self, digest: &Digest) -> Result<Option<StoredToken>, StoreError> {
        Ok(self.with(|kept| kept.tokens.iter().find(|token| token.digest == *digest).cloned()))
    }

    async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        Ok(self.with(|kept| kept.tokens.clone()))
    }

    async fn code(&self, digest: &Digest) -> Result<Option<StoredCode>, StoreError> {
        Ok(self.with(|kept| kept.codes.iter().find(|code| code.digest == *digest).cloned()))
    }
}
