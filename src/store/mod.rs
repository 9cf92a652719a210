//! SQL, and nothing else that knows it.
//!
//! Traits, one per need, that SQLite implements here and PostgreSQL will: [`RunStore`] for what is asked about runs,
//! [`JournalStore`] for the journal, [`ReviewStore`] for what people look through, [`AttemptStore`] for attempts beside
//! each other, [`RetentionStore`] for what may go, [`OutboxStore`] for notifications, [`TriggerStore`] for schedules
//! and deliveries of hooks, [`AccessStore`] for who may use the server and the audit log. All changes go through
//! [`JournalStore::commit`], in transactions that the journal's one writer puts together. This module knows no engine,
//! no journal and no HTTP.

pub mod access;
mod change;
mod sqlite;
mod steady;
mod trigger;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::model::attempt::{Attempt, AttemptSummary};
use crate::model::kinds::{Finding, FixSafety, Patch};
use crate::model::queue::QueuedRun;
use crate::model::review::{FindingFilter, ReviewCounts};
use crate::model::{
    ApprovalDecision, DatabaseSize, FrameRecord, NotifyTarget, Pin, Pipeline, Retention, Run, RunFilter, RunId,
    Secrets, Status, Timestamp,
};

pub use access::{AccessOp, AccessStore, NewAudit};
pub use change::{Change, Clearing, Committed, Created, Guard, Lease, Mark, NewRun, Op, Outcome, PhaseUpdate};
pub use sqlite::{Durability, SqliteStore, VacuumError, Vacuumed, vacuum};
pub use trigger::{
    NewDelivery, NewPause, Place, RunTrigger, ScheduleSlot, ScheduleState, TriggerOp, TriggerStore, Trust,
};
pub use write::{NewFrame, Write};

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
    pub answer: Option<ApprovalDecision>,
    /// How many attempts in a row, up to this one, nobody has asked for: each went on after an interruption, and none
    /// came further.
    pub resumed: u32,
    /// Who asked for its end, if anyone has.
    pub cancel_by: Option<String>,
}

/// A phase's name, and what it has given to later ones, by name.
pub type Outputs = (String, BTreeMap<String, String>);

/// The secrets of a run. They are there until it has ended; then only their names are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredSecrets {
    /// Those that are there.
    pub values: Secrets,
    /// The names of those that were removed when the run ended.
    pub removed: Vec<String>,
}

/// Which part of a journal a run's page shows first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewPart {
    /// The most frames.
    pub rows: u32,
    /// The most bytes of their data. A frame that alone is larger is left out, with all beyond it.
    pub bytes: usize,
    /// The frames around this seq, if there is such a frame. Else the newest.
    pub at: Option<u64>,
}

/// What a run's page shows first, all of one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The run's key.
    pub key: RunKey,
    /// The run.
    pub run: Run,
    /// Frames without gaps, in order: those around a place, or the newest, whose last one has the run's head as its
    /// seq. None if the one in question is too large.
    pub frames: Vec<FrameRecord>,
    /// The seq of the frame that tells the begin of each phase of the run's attempt, for those that have begun in it.
    pub starts: BTreeMap<String, u64>,
    /// How many findings and patches its attempt has.
    pub review_counts: ReviewCounts,
    /// The attempts before its current one, oldest first: the newest of them if there are many.
    pub earlier: Vec<AttemptSummary>,
}

/// Why the database did not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It is away; the same call may succeed later.
    #[error("the database is not available: {0}")]
    Unavailable(Arc<dyn std::error::Error + Send + Sync>),
    /// Another program has locked it; the same call may succeed later.
    #[error("the database is locked by another program: {0}")]
    Locked(Arc<dyn std::error::Error + Send + Sync>),
    /// Its disk is full; the same call may succeed later.
    #[error("the disk of the database is full: {0}")]
    Full(Arc<dyn std::error::Error + Send + Sync>),
    /// Another server has it: its file is locked.
    #[error("another server uses this database; stop that one, or give this one another --data-dir")]
    InUse,
    /// The run that is asked about is not there, or not any more.
    #[error("the run is not there any more")]
    Gone,
    /// It refused, or what it holds cannot be read. Trying again does not help.
    #[error("the database failed: {0}")]
    Failed(Arc<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Locked(_) | Self::Full(_))
    }
}

/// What is asked about runs. Each call is one read transaction.
#[async_trait]
pub trait RunStore: Send + Sync {
    /// Whether no other server can have this database open. Then a run whose worker is not here has none.
    fn is_exclusive(&self) -> bool {
        false
    }

    /// Whether the database answers. Costs the same whatever it holds.
    async fn ping(&self) -> Result<(), StoreError> {
        self.waiting(1).await.map(drop)
    }

    /// A run's key and where its journal stands.
    async fn find(&self, id: &RunId) -> Result<Option<(RunKey, Pulse)>, StoreError>;

    /// The run that was created with this idempotency key (`None` if it was deleted), and the digest of what was asked
    /// for.
    async fn by_idempotency_key(&self, key: &str) -> Result<Option<(Option<RunKey>, Vec<u8>)>, StoreError>;

    /// Whether a run is pinned. `None` if it is not there.
    async fn pin(&self, key: RunKey) -> Result<Option<Pin>, StoreError>;

    /// A run by its key.
    async fn run(&self, key: RunKey) -> Result<Option<Run>, StoreError>;

    /// A run and a part of its journal.
    async fn view(&self, id: &RunId, part: &ViewPart) -> Result<Option<View>, StoreError>;

    /// Runs, newest first, and the id after which the next page begins; `limit` and `before` are not taken from the
    /// filter. A page of a search for text may have fewer runs than `limit` although there is a next one.
    async fn list(
        &self,
        filter: &RunFilter,
        limit: u32,
        before: Option<&RunId>,
    ) -> Result<(Vec<Run>, Option<RunId>), StoreError>;

    /// What the current attempt of a run was asked to do.
    async fn assignment(&self, key: RunKey) -> Result<Option<Assignment>, StoreError>;

    /// Up to `limit` runs that a worker may claim, in the order in which they are taken, each with its attempt. None of
    /// a group that has a running one.
    async fn waiting(&self, limit: u32) -> Result<Vec<(RunKey, u32)>, StoreError>;

    /// How many runs wait for a worker, and the first `limit` of them in the order in which they are taken.
    async fn queue(&self, limit: u32) -> Result<(u64, Vec<QueuedRun>), StoreError>;

    /// A run of the group with this key that is active.
    async fn active_in(&self, group: &str) -> Result<Option<RunId>, StoreError>;

    /// Active runs that nobody has asked the end of, whose place a later run of their group takes, each with that run.
    async fn superseded(&self) -> Result<Vec<(RunKey, RunId)>, StoreError>;

    /// Up to `limit` runs that waited for a person and were answered, or are to be cancelled: those first that only
    /// end. Each with its attempt, and whether it goes on.
    async fn answered(&self, limit: u32) -> Result<Vec<(RunKey, u32, bool)>, StoreError>;

    /// Every run that waits for a person, or was answered and not yet taken up, each with its attempt.
    async fn asked(&self) -> Result<Vec<(RunId, u32)>, StoreError>;

    /// What the phases of an attempt have given to later ones, in the order of the phases.
    async fn outputs(&self, key: RunKey, attempt: u32) -> Result<Vec<Outputs>, StoreError>;

    /// The secrets that a run was asked for with.
    async fn secrets(&self, key: RunKey) -> Result<StoredSecrets, StoreError>;

    /// Runs whose lease ran out before `now`, each with its attempt.
    async fn lapsed(&self, now: Timestamp) -> Result<Vec<(RunKey, u32)>, StoreError>;

    /// How far every schedule is done, by its pipeline and which of its schedules it is.
    async fn marks(&self) -> Result<BTreeMap<(String, String), Timestamp>, StoreError>;

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

    /// Gives back the room that is set aside for a full disk. Returns whether there was any.
    async fn release_reserve(&self) -> bool {
        false
    }

    /// Sets room aside for a full disk, if the disk has it: more than what was given back, if activity waits for room.
    /// Returns whether it is set aside; always, where there is no such thing.
    async fn restore_reserve(&self, _does_activity_wait: bool) -> bool {
        true
    }

    /// Where a run's journal stands.
    ///
    /// # Errors
    /// [`StoreError::Gone`] if the run is, here and below.
    async fn pulse(&self, key: RunKey) -> Result<Pulse, StoreError>;

    /// Frames after `after`, in order, and where the journal stood when they were read: up to `limit`, fewer if they
    /// are large, and at least one if there is one.
    async fn frames(&self, key: RunKey, after: u64, limit: u32) -> Result<(Vec<FrameRecord>, Pulse), StoreError>;
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
    async fn review_counts(&self, run: RunKey, attempt: u32) -> Result<ReviewCounts, StoreError>;

    /// The patches of an attempt, in order, without their diffs.
    async fn patches(&self, run: RunKey, attempt: u32) -> Result<Vec<PatchRow>, StoreError>;

    /// The patch of this seq, if that frame is one.
    async fn patch(&self, run: RunKey, seq: u64) -> Result<Option<Patch>, StoreError>;
}

/// Attempts of a run, beside each other.
#[async_trait]
pub trait AttemptStore: Send + Sync {
    /// Up to `limit` attempts of a run, oldest first: the newest ones, or the newest before `before`. All of one
    /// moment.
    async fn attempts(&self, run: RunKey, before: Option<u32>, limit: u32) -> Result<Vec<Attempt>, StoreError>;

    /// The log frames of a phase with a seq after `after`, up to `until`, and up to which seq this is all there is:
    /// fewer if they are large. The caller keeps `until` near: all frames in between are gone through in one read.
    async fn log_of(
        &self,
        run: RunKey,
        phase: Arc<str>,
        after: u64,
        until: u64,
    ) -> Result<(Vec<FrameRecord>, u64), StoreError>;

    /// The rows of a run's log that were drawn anew, whose first frames have a seq after `after`, up to `until`: each
    /// row's seq and the frame that it is now. And up to which seq these are all: fewer if they are large.
    async fn redrawn(&self, run: RunKey, after: u64, until: u64) -> Result<(Vec<(u64, FrameRecord)>, u64), StoreError>;
}

/// What of the finished runs may go, and how much room they take.
#[async_trait]
pub trait RetentionStore: Send + Sync {
    /// The pipelines, by name, that have runs which may go at some time: finished and not pinned.
    async fn kept(&self) -> Result<Vec<Kept>, StoreError>;

    /// Up to `limit` of a pipeline's runs that the rule lets go of now, the oldest first.
    async fn outdated(
        &self,
        pipeline: &str,
        rule: Retention,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Outdated>, StoreError>;

    /// Up to `limit` runs that are deleted and have left something, by key, those after this one.
    async fn deleted(&self, after: RunKey, limit: u32) -> Result<Vec<(RunKey, RunId)>, StoreError>;

    /// How large the database is. Costs the same whatever it holds.
    async fn size(&self) -> Result<DatabaseSize, StoreError>;
}

/// See [`RetentionStore::kept`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The pipeline's name.
    pub pipeline: String,
    /// When the first of those runs ended.
    pub oldest: Timestamp,
}

/// See [`RetentionStore::outdated`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outdated {
    /// The run.
    pub run: RunKey,
    /// Its id.
    pub id: RunId,
    /// Where it stands.
    pub status: Status,
    /// Its attempt.
    pub attempt: u32,
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
    /// `review` if one of its fixes needs a review.
    pub fix: Option<FixSafety>,
}

/// Notifications that are to be delivered.
#[async_trait]
pub trait OutboxStore: Send + Sync {
    /// Up to `limit` deliveries that are due, the longest waiting first: up to `each` for one address, so that many for
    /// one that does not answer leave room for the others'.
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
    pub receiver: NotifyTarget,
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
pub trait Store:
    RunStore + JournalStore + ReviewStore + AttemptStore + RetentionStore + OutboxStore + TriggerStore + AccessStore
{
}

impl<
    T: RunStore + JournalStore + ReviewStore + AttemptStore + RetentionStore + OutboxStore + TriggerStore + AccessStore,
> Store for T
{
}
