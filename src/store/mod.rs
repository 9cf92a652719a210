//! SQL, and nothing else that knows it.
//!
//! Four traits, one per need, that SQLite implements here and PostgreSQL will: [`RunStore`] for what is asked about runs,
//! [`JournalStore`] for the journal, [`ReviewStore`] for what people look through, [`OutboxStore`] for
//! notifications. All changes go through [`JournalStore::commit`], in transactions that the journal's
//! one writer puts together. This module knows no engine, no journal and no HTTP.

mod change;
mod sqlite;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::model::kinds::{Finding, Patch};
use crate::model::queue::Waiting;
use crate::model::review::{FindingFilter, Tally};
use crate::model::{Answer, Notify, Pipeline, Record, Run, RunFilter, RunId, Status, Timestamp};

pub use change::{Change, Committed, Guard, Lease, NewFrame, NewRun, Op, Outcome, PhaseUpdate, Write};
pub use sqlite::{Durability, SqliteStore};

/// A run's key inside the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunKey(pub i64);

/// Where a run's journal stands. Every change of status is a frame, so the head decides which of two is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// The last seq.
    pub head: u64,
    /// The run's status as of that frame.
    pub status: Status,
    /// The attempt as of that frame.
    pub attempt: u32,
}

/// What an attempt was asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The run as it stands.
    pub run: Run,
    /// The pipeline as it stood when the attempt was asked for.
    pub pipeline: Pipeline,
    /// What a person answered last in this attempt, if one was asked.
    pub answer: Option<Answer>,
}

/// A phase's name, and what it has given to later ones, by name.
pub type Outputs = (String, BTreeMap<String, String>);

/// What a run's page shows first, all of one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The run; its head is the last frame's seq.
    pub run: Run,
    /// The newest frames, in order.
    pub frames: Vec<Record>,
    /// How many findings and patches its attempt has.
    pub tally: Tally,
}

/// Why the database did not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It is busy or away; the same call may succeed later.
    #[error("the database is not available: {0}")]
    Unavailable(Arc<dyn std::error::Error + Send + Sync>),
    /// Another server has it: its file is locked.
    #[error("another server uses this database; stop that one, or give this one another --data-dir")]
    InUse,
    /// It refused, or what it holds cannot be read. Trying again does not help.
    #[error("the database failed: {0}")]
    Failed(Arc<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// What is asked about runs. Each call is one read transaction.
#[async_trait]
pub trait RunStore: Send + Sync {
    /// A run's key and where its journal stands.
    async fn find(&self, id: &RunId) -> Result<Option<(RunKey, Pulse)>, StoreError>;

    /// The run that was created with this idempotency key, and the digest of what was asked for.
    async fn by_idempotency_key(&self, key: &str) -> Result<Option<(RunKey, Vec<u8>)>, StoreError>;

    /// A run by its key.
    async fn run(&self, key: RunKey) -> Result<Option<Run>, StoreError>;

    /// A run and the last `tail` frames of its journal.
    async fn view(&self, id: &RunId, tail: u32) -> Result<Option<View>, StoreError>;

    /// Runs, newest first, and the id after which the next page begins. `limit` and `before` are taken from the filter.
    async fn list(
        &self,
        filter: &RunFilter,
        limit: u32,
        before: Option<&RunId>,
    ) -> Result<(Vec<Run>, Option<RunId>), StoreError>;

    /// What the current attempt of a run was asked to do.
    async fn assignment(&self, key: RunKey) -> Result<Option<Assignment>, StoreError>;

    /// Up to `limit` runs that a worker may claim, in the order in which they are taken, each with its attempt. None of a group
    /// that has a running one.
    async fn waiting(&self, limit: u32) -> Result<Vec<(RunKey, u32)>, StoreError>;

    /// How many runs wait for a worker, and the first `limit` of them in the order in which they are taken.
    async fn queue(&self, limit: u32) -> Result<(u64, Vec<Waiting>), StoreError>;

    /// An active run of the group with this key.
    async fn active_in(&self, group: &str) -> Result<Option<RunId>, StoreError>;

    /// Active runs that nobody has asked the end of, whose place a later run of their group takes, each with that run.
    async fn superseded(&self) -> Result<Vec<(RunKey, RunId)>, StoreError>;

    /// Up to `limit` runs that waited for a person and were answered, or are to be cancelled: those first that only end. Each
    /// with its attempt, and whether it goes on.
    async fn answered(&self, limit: u32) -> Result<Vec<(RunKey, u32, bool)>, StoreError>;

    /// Every run that waits for a person, or was answered and not yet taken up, each with its attempt.
    async fn asked(&self) -> Result<Vec<(RunId, u32)>, StoreError>;

    /// What the phases of an attempt have given to later ones, in the order of the phases.
    async fn outputs(&self, key: RunKey, attempt: u32) -> Result<Vec<Outputs>, StoreError>;

    /// Runs whose lease ran out before `now`, each with its attempt.
    async fn lapsed(&self, now: Timestamp) -> Result<Vec<(RunKey, u32)>, StoreError>;

    /// Interrupted runs that go on by themselves.
    async fn to_resume(&self) -> Result<Vec<RunKey>, StoreError>;

    /// How many runs stand where.
    async fn counts(&self) -> Result<Vec<(Status, u64)>, StoreError>;
}

/// The journal's side of the database.
#[async_trait]
pub trait JournalStore: Send + Sync {
    /// Carries out these in order in one durable transaction, each accepted or refused by its own guard.
    ///
    /// # Errors
    /// Nothing at all was done.
    async fn commit(&self, ops: &[Op]) -> Result<Vec<Outcome>, StoreError>;

    /// Where a run's journal stands.
    ///
    /// # Errors
    /// [`StoreError::Failed`] with `RowNotFound` if the run is gone, here and below.
    async fn pulse(&self, key: RunKey) -> Result<Pulse, StoreError>;

    /// Frames after `after`, in order, and where the journal stood when they were read: up to `limit`, fewer if they are
    /// large, and at least one if there is one.
    async fn frames(&self, key: RunKey, after: u64, limit: u32) -> Result<(Vec<Record>, Pulse), StoreError>;
}

/// What a person looks at: findings and patches. They are frames; this finds them among the others.
#[async_trait]
pub trait ReviewStore: Send + Sync {
    /// Up to `limit` findings of an attempt.
    async fn findings(
        &self,
        run: RunKey,
        attempt: u32,
        filter: &FindingFilter,
        limit: u32,
    ) -> Result<Findings, StoreError>;

    /// How much there is of an attempt.
    async fn tally(&self, run: RunKey, attempt: u32) -> Result<Tally, StoreError>;

    /// The patches of an attempt, in order, without their diffs.
    async fn patches(&self, run: RunKey, attempt: u32) -> Result<Vec<PatchRow>, StoreError>;

    /// The patch of this seq, if that frame is one.
    async fn patch(&self, run: RunKey, seq: u64) -> Result<Option<Patch>, StoreError>;
}

/// See [`ReviewStore::findings`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Those that are wanted, up to the limit, each with its seq.
    pub found: Vec<(u64, Finding)>,
    /// How many are wanted.
    pub total: u64,
    /// Every rule with the number of its findings, the most frequent first.
    pub rules: Vec<(String, u64)>,
    /// The same of severities.
    pub severities: Vec<(String, u64)>,
}

/// A patch without its diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchRow {
    /// The seq of its frame.
    pub seq: u64,
    /// The file, relative to the project.
    pub path: String,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
}

/// Notifications that are to be delivered.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Up to `limit` deliveries that are due, the longest waiting first: up to `each` for one address, so that many for one that does
    /// not answer leave room for the others'.
    async fn due(&self, now: Timestamp, each: u32, limit: u32) -> Result<Vec<Delivery>, StoreError>;

    /// When the next one is due of those that are not.
    async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError>;
}

/// A notification that is to be delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Its own key.
    pub key: i64,
    /// The run.
    pub run: RunKey,
    /// The attempt it tells of.
    pub attempt: u32,
    /// The run's head with what it tells.
    pub seq: u64,
    /// Which of the pipeline's receivers it is for.
    pub position: u32,
    /// `run.finished` or `run.waiting`.
    pub event: String,
    /// The receiver.
    pub receiver: Notify,
    /// The pipeline's title.
    pub title: String,
    /// The run as it was then.
    pub snapshot: Run,
    /// How many tries have ended.
    pub tries: u32,
    /// How many were begun.
    pub token: i64,
}

/// A whole database.
pub trait Store: RunStore + JournalStore + ReviewStore + OutboxStore {}

impl<T: RunStore + JournalStore + ReviewStore + OutboxStore> Store for T {}
