//! Tokens and sessions in memory, for tests of the guard with a paused clock.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::AccessWriter;
use crate::journal::WriteError;
use crate::store::StoreError;
use crate::store::access::{AccessOp, AccessStore, Digest, NewAudit, StoredCode, StoredSession, StoredToken};

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
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn audit(&self) -> Vec<NewAudit> {
        self.with(|tables| tables.audit.clone())
    }
}

#[async_trait]
impl AccessWriter for MemoryAccessStore {
    async fn access(&self, op: AccessOp, audit: Option<NewAudit>) -> Result<(), WriteError> {
        self.with(|tables| {
            match op {
                AccessOp::Note | AccessOp::SeeSession(..) | AccessOp::UseToken(..) => {}
                AccessOp::AddSession(session) => tables.sessions.push(session),
                AccessOp::TakeCode(digest, session) => {
                    let at = tables.codes.iter().position(|code| code.digest == digest).ok_or(WriteError::Refused)?;
                    tables.codes.remove(at);
                    tables.sessions.push(session);
                }
                AccessOp::EndSession(id) => tables.sessions.retain(|session| session.id != id),
                AccessOp::AddToken(token) => tables.tokens.push(token),
                AccessOp::RevokeToken(id) => {
                    tables.tokens.retain(|token| token.id != id);
                    tables.sessions.retain(|session| session.parent != id);
                }
                AccessOp::AddCode(code) => tables.codes.push(code),
            }
            tables.audit.extend(audit);
            Ok(())
        })
    }
}

#[async_trait]
impl AccessStore for MemoryAccessStore {
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
