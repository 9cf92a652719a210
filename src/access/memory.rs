//! Tokens and sessions in memory, for tests of the guard with a paused clock.

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{AccessReader, AccessWriter};
use crate::journal::WriteError;
use crate::store::{
    AddLoginCode, AddSession, AddToken, Digest, EndSession, GuardedCommand, NewAudit, RecordAudit, RedeemLoginCode,
    RevokeToken, StoreError, StoredCode, StoredSession, StoredToken,
};

#[derive(Debug, Default)]
pub struct MemoryAccessStore(Mutex<AccessTables>);

#[derive(Debug, Default)]
struct AccessTables {
    sessions: Vec<StoredSession>,
    tokens: Vec<StoredToken>,
    codes: Vec<StoredCode>,
    audit: Vec<NewAudit>,
}

impl MemoryAccessStore {
    fn with<T>(&self, work: impl FnOnce(&mut AccessTables) -> T) -> T {
        work(&mut self.0.lock())
    }

    pub fn audit(&self) -> Vec<NewAudit> {
        self.with(|tables| tables.audit.clone())
    }
}

#[async_trait]
impl AccessWriter for MemoryAccessStore {
    async fn access(&self, command: GuardedCommand, audit: Option<NewAudit>) -> Result<(), WriteError> {
        self.with(|tables| {
            match command {
                GuardedCommand::RecordAudit(RecordAudit(entry)) => tables.audit.push(entry),
                GuardedCommand::AddSession(AddSession { session }) => tables.sessions.push(session),
                GuardedCommand::RedeemLoginCode(RedeemLoginCode { digest, session }) => {
                    let at = tables.codes.iter().position(|code| code.digest == digest).ok_or(WriteError::Refused)?;
                    tables.codes.remove(at);
                    tables.sessions.push(session);
                }
                GuardedCommand::EndSession(EndSession { id }) => tables.sessions.retain(|session| session.id != id),
                GuardedCommand::AddToken(AddToken { token }) => tables.tokens.push(token),
                GuardedCommand::RevokeToken(RevokeToken { id }) => {
                    tables.tokens.retain(|token| token.id != id);
                    tables.sessions.retain(|session| session.parent != id);
                }
                GuardedCommand::AddLoginCode(AddLoginCode { code }) => tables.codes.push(code),
                _ => {}
            }
            tables.audit.extend(audit);
            Ok(())
        })
    }
}

#[async_trait]
impl AccessReader for MemoryAccessStore {
    async fn session(&self, digest: &Digest) -> Result<Option<StoredSession>, StoreError> {
        Ok(self.with(|tables| tables.sessions.iter().find(|session| session.digest == *digest).cloned()))
    }

    async fn sessions(&self, _now: crate::model::Timestamp) -> Result<Vec<StoredSession>, StoreError> {
        Ok(self.with(|tables| tables.sessions.clone()))
    }

    async fn token(&self, digest: &Digest) -> Result<Option<StoredToken>, StoreError> {
        Ok(self.with(|tables| tables.tokens.iter().find(|token| token.digest == *digest).cloned()))
    }

    async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        Ok(self.with(|tables| tables.tokens.clone()))
    }

    async fn code(&self, digest: &Digest) -> Result<Option<StoredCode>, StoreError> {
        Ok(self.with(|tables| tables.codes.iter().find(|code| code.digest == *digest).cloned()))
    }
}
