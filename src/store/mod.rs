//! The database: commands that write, queries that read, and the drivers that carry them out. The only folder that
//! knows SQL.
//!
//! [`commands`] and [`queries`] hand statements to a [`transaction`], which a driver implements; [`sqlite`] is the one
//! there is. [`Store`] is what the rest of the program reads from. Everything is written by the journal's writer, which
//! collects commands and has them carried out in one transaction. Knows no engine, no journal and no HTTP.

mod commands;
mod handle;
mod queries;
mod reads;
mod row;
mod sqlite;
mod statement;
mod transaction;

use std::sync::Arc;

use crate::model::Status;

pub use commands::*;
pub use handle::Store;
pub use queries::handover::{Claim, StoredSupervisor};
pub use queries::outbox::OutboxDelivery;
pub use queries::queue::DecidedRun;
pub use queries::retention::{ExpiredRun, RetentionCandidate};
pub use queries::reviews::{PatchSummary, StoredFindings};
pub use queries::runs::{Assignment, KnownKey, PhaseOutputs, StoredSecrets, StoredView, ViewBounds};
pub use queries::schedules::{ScheduleName, ScheduleState};
pub use reads::Interceptor;
pub use row::RowError;
pub use sqlite::{Durability, VacuumError, Vacuumed, file_of_url, vacuum};

/// How long an idempotency key is known, in milliseconds: a day (docs/CONTRACT.md, "Starting a run").
const IDEMPOTENCY_KEY_AGE_MS: i64 = 24 * 60 * 60 * 1000;

/// A run's key inside the database. Outside it has its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunKey(pub i64);

/// How far a run's journal goes. Every change of status is a frame, so of two heads the larger is the newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalHead {
    /// The seq of the last frame.
    pub head: u64,
    /// The run's status as of that frame.
    pub status: Status,
    /// The attempt as of that frame.
    pub attempt: u32,
}

impl JournalHead {
    /// The columns `head`, `status` and `attempt`.
    fn read(row: &dyn row::Row) -> Result<Self, RowError> {
        Ok(Self { head: row.get("head")?, status: row.get("status")?, attempt: row.get("attempt")? })
    }
}

/// Why the database did not do what it was asked to.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The system cannot serve it now; the same call may succeed later.
    #[error("the database is not available: {0}")]
    Unavailable(Arc<dyn std::error::Error + Send + Sync>),
    /// Another program has locked it; the same call may succeed later.
    #[error("the database is locked by another program: {0}")]
    Locked(Arc<dyn std::error::Error + Send + Sync>),
    /// Its disk is full; the same call may succeed later.
    #[error("the disk of the database is full: {0}")]
    Full(Arc<dyn std::error::Error + Send + Sync>),
    /// Another server has it open.
    #[error("another server uses this database; stop that one, or give this one another --data-dir")]
    InUse,
    /// The run is unknown or was deleted.
    #[error("the run is not there any more")]
    Gone,
    /// It refused, or what it holds cannot be read. The same call fails again.
    #[error("the database failed: {0}")]
    Failed(Arc<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// A failure that only this sentence describes.
    pub fn failed(sentence: &'static str) -> Self {
        Self::Failed(Arc::from(Box::<dyn std::error::Error + Send + Sync>::from(sentence)))
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Locked(_) | Self::Full(_))
    }
}
