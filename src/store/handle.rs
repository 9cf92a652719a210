//! The store as the program uses it: one handle with every read, and the commit of commands.

mod handover;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::queries::{
    access, attempts, audit, frames, hook_deliveries, outbox, queue, retention, reviews, run_list, runs, schedules,
};
use super::reads::{Interceptor, Reads};
use super::sqlite::SqliteDatabase;
use super::{
    Assignment, DecidedRun, Digest, Durability, ExpiredRun, JournalHead, KnownKey, OutboxDelivery, PatchSummary,
    PhaseOutputs, RetentionCandidate, RunKey, ScheduleName, ScheduleScope, ScheduleState, StoreCommand, StoreError,
    StoredCode, StoredFindings, StoredSecrets, StoredSession, StoredToken, StoredView, ViewBounds, WriteOutcome,
};
use crate::model::attempt::Attempt;
use crate::model::audit::{AuditEntry, AuditFilter};
use crate::model::kinds::Patch;
use crate::model::queue::QueuedRun;
use crate::model::review::{FindingFilter, ReviewCounts};
use crate::model::trigger::{DeliveryFilter, HookDelivery, RecentRefusals, SchedulePause};
use crate::model::{DatabaseSize, FrameRecord, Pin, Retention, Run, RunFilter, RunId, Status, Timestamp};

/// The database. Cheap to clone.
///
/// Each read sees one state of the database. An unknown run and a deleted one yield the same: `None` or nothing, where
/// a method does not say [`StoreError::Gone`].
///
/// # Errors
/// Of every read: [`StoreError::is_retryable`] ones, if the database cannot answer now, and [`StoreError::Failed`], if
/// it is damaged or another program has written to it.
#[derive(Clone)]
pub struct Store {
    database: Arc<SqliteDatabase>,
    reads: Reads,
}

impl Store {
    /// Opens or creates a SQLite file and migrates it to this version's schema. Waits while another program has it
    /// locked or its disk is full.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another server has it; [`StoreError::Failed`] if it is no database, or of a newer
    /// version.
    pub async fn open_sqlite(file: &Path, durability: Durability) -> Result<Self, StoreError> {
        SqliteDatabase::open(file, durability).await.map(Self::new)
    }

    /// The same for an address such as `sqlite:///var/lib/runtrail/runtrail.db`.
    ///
    /// # Errors
    /// As [`Self::open_sqlite`], and [`StoreError::Failed`] if the address is none.
    pub async fn open_url(url: &str, durability: Durability) -> Result<Self, StoreError> {
        SqliteDatabase::open_url(url, durability).await.map(Self::new)
    }

    fn new(database: SqliteDatabase) -> Self {
        let database = Arc::new(database);
        Self { reads: Reads::new(Arc::clone(&database)), database }
    }

    /// The same store with all reads going through this.
    #[must_use]
    pub fn intercepted(&self, interceptor: Arc<dyn Interceptor>) -> Self {
        Self { reads: self.reads.intercepted(interceptor), ..self.clone() }
    }

    /// Whether no other server can have the database open. Then a run whose worker is not here has none.
    pub fn is_exclusive(&self) -> bool {
        self.reads.is_exclusive()
    }

    /// Carries out commands in order, in one durable transaction, each accepted or refused by its own precondition. For
    /// the journal's writer alone.
    ///
    /// # Errors
    /// Nothing at all was written.
    pub async fn commit(&self, commands: &[StoreCommand]) -> Result<Vec<WriteOutcome>, StoreError> {
        self.database.commit(commands).await
    }

    /// Frees the space that is reserved for a full disk. Returns whether there was any.
    pub async fn release_reserve(&self) -> bool {
        self.database.release_reserve().await
    }

    /// Reserves space for a full disk again: see `sqlite/reserve.rs`. Returns whether it is reserved.
    pub async fn restore_reserve(&self, does_output_wait: bool) -> bool {
        self.database.restore_reserve(does_output_wait).await
    }

    /// Whether the database answers. Costs the same whatever it holds.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.reads.first("ping", runs::ping()).await.map(drop)
    }

    /// How large the database is. Costs the same whatever it holds.
    pub async fn size(&self) -> Result<DatabaseSize, StoreError> {
        self.database.size().await
    }

    /// A run's key and the head of its journal.
    pub async fn find(&self, id: &RunId) -> Result<Option<(RunKey, JournalHead)>, StoreError> {
        self.reads.first("find", runs::find(id)).await
    }

    /// The request that came with this idempotency key, if the key is still known.
    pub async fn by_idempotency_key(&self, key: &str) -> Result<Option<KnownKey>, StoreError> {
        self.reads.first("by_idempotency_key", runs::by_recent_idempotency_key(key, Timestamp::now())).await
    }

    /// Whether a run is pinned.
    pub async fn pin(&self, run: RunKey) -> Result<Option<Pin>, StoreError> {
        self.reads.first("pin", runs::pin(run)).await
    }

    /// A run.
    pub async fn run(&self, run: RunKey) -> Result<Option<Run>, StoreError> {
        self.reads.first("run", runs::by_key(run)).await
    }

    /// What a run's page shows first.
    pub async fn view(&self, id: &RunId, bounds: ViewBounds) -> Result<Option<StoredView>, StoreError> {
        let id = id.clone();
        self.reads.snapshot("view", async move |mut db| runs::view(&mut db, &id, &bounds).await).await
    }

    /// Up to `limit` runs that the filter wants, newest first, those before `before`; and the id after which the next
    /// page begins: see [`run_list::page`].
    pub async fn list(
        &self,
        filter: &RunFilter,
        limit: u32,
        before: Option<&RunId>,
    ) -> Result<(Vec<Run>, Option<RunId>), StoreError> {
        let (filter, before) = (filter.clone(), before.cloned());
        let bounds = run_list::SearchBounds::default();
        self.reads
            .single("list", async move |mut db| run_list::page(&mut db, &filter, limit, before.as_ref(), bounds).await)
            .await
    }

    /// How many runs have each status.
    pub async fn status_counts(&self) -> Result<Vec<(Status, u64)>, StoreError> {
        self.reads.all("status_counts", runs::status_counts()).await
    }

    /// What the current attempt of a run has to do.
    pub async fn assignment(&self, run: RunKey) -> Result<Option<Assignment>, StoreError> {
        self.reads.first("assignment", runs::assignment(run)).await
    }

    /// The outputs of an attempt's phases for later ones, in the order of the phases.
    pub async fn outputs(&self, run: RunKey, attempt: u32) -> Result<Vec<PhaseOutputs>, StoreError> {
        self.reads.all("outputs", runs::outputs(run, attempt)).await
    }

    /// The secrets of a run's current attempt.
    pub async fn secrets(&self, run: RunKey) -> Result<StoredSecrets, StoreError> {
        self.reads.single("secrets", async move |mut db| runs::secrets(&mut db, run).await).await
    }

    /// Up to `limit` runs that a worker may claim, in the order in which they are claimed, each with its attempt.
    pub async fn claimable(&self, limit: u32) -> Result<Vec<(RunKey, u32)>, StoreError> {
        self.reads.all("claimable", queue::claimable(limit)).await
    }

    /// How many runs wait for a worker, and the first `limit` of them in the order in which they are claimed.
    pub async fn queue(&self, limit: u32) -> Result<(u64, Vec<QueuedRun>), StoreError> {
        self.reads.snapshot("queue", async move |mut db| queue::page(&mut db, limit).await).await
    }

    /// An active run of the concurrency group with this key.
    pub async fn active_in_group(&self, group: &str) -> Result<Option<RunId>, StoreError> {
        self.reads.first("active_in_group", queue::active_in_group(group)).await
    }

    /// Active runs whose cancellation nobody has requested and whose place a later run of their group takes, each with
    /// that run.
    pub async fn superseded(&self) -> Result<Vec<(RunKey, RunId)>, StoreError> {
        self.reads.single("superseded", |mut db| async move { queue::superseded(&mut db).await }).await
    }

    /// Up to `limit` runs that waited for a person and were answered, or are to be cancelled: those first that only
    /// end.
    pub async fn decided(&self, limit: u32) -> Result<Vec<DecidedRun>, StoreError> {
        self.reads.all("decided", queue::decided(limit)).await
    }

    /// Every run that waits for a person, or was answered and not yet resumed, each with its attempt.
    pub async fn awaiting_approval(&self) -> Result<Vec<(RunId, u32)>, StoreError> {
        self.reads.all("awaiting_approval", queue::awaiting_approval()).await
    }

    /// Running runs whose lease expired before `now`, each with its attempt.
    pub async fn expired_leases(&self, now: Timestamp) -> Result<Vec<(RunKey, u32)>, StoreError> {
        self.reads.all("expired_leases", queue::expired_leases(now)).await
    }

    /// The head of a run's journal.
    ///
    /// # Errors
    /// [`StoreError::Gone`] if the run is unknown or deleted.
    pub async fn head(&self, run: RunKey) -> Result<JournalHead, StoreError> {
        self.reads.first("head", frames::head(run)).await?.ok_or(StoreError::Gone)
    }

    /// Frames after the seq `after`, in order, and the journal's head: up to `limit`, fewer if they are large, but at
    /// least one if there is one.
    ///
    /// # Errors
    /// [`StoreError::Gone`] if the run is unknown or deleted.
    pub async fn frames(
        &self,
        run: RunKey,
        after: u64,
        limit: u32,
    ) -> Result<(Vec<FrameRecord>, JournalHead), StoreError> {
        self.reads.snapshot("frames", async move |mut db| frames::after(&mut db, run, after, limit).await).await
    }

    /// The log frames of a phase with a seq after `after`, up to `until`, and up to which seq these are all: see
    /// [`frames::phase_log`].
    pub async fn phase_log(
        &self,
        run: RunKey,
        phase: Arc<str>,
        after: u64,
        until: u64,
    ) -> Result<(Vec<FrameRecord>, u64), StoreError> {
        self.reads
            .single("phase_log", async move |mut db| frames::phase_log(&mut db, run, &phase, after, until).await)
            .await
    }

    /// The rows of a run's log that were redrawn, with the frame that each is now, and up to which seq these are all:
    /// see [`frames::redrawn_rows`].
    pub async fn redrawn_rows(
        &self,
        run: RunKey,
        after: u64,
        until: u64,
    ) -> Result<(Vec<(u64, FrameRecord)>, u64), StoreError> {
        self.reads
            .single("redrawn_rows", async move |mut db| frames::redrawn_rows(&mut db, run, after, until).await)
            .await
    }

    /// Up to `limit` attempts of a run, oldest first: the newest ones, or the newest before `before`.
    pub async fn attempts(&self, run: RunKey, before: Option<u32>, limit: u32) -> Result<Vec<Attempt>, StoreError> {
        self.reads.single("attempts", async move |mut db| attempts::page(&mut db, run, before, limit).await).await
    }

    /// Up to `limit` findings of an attempt.
    pub async fn findings(
        &self,
        run: RunKey,
        attempt: u32,
        filter: &FindingFilter,
        limit: u32,
    ) -> Result<StoredFindings, StoreError> {
        let filter = filter.clone();
        self.reads
            .snapshot("findings", async move |mut db| reviews::findings(&mut db, run, attempt, &filter, limit).await)
            .await
    }

    /// How many findings and patches an attempt has.
    pub async fn review_counts(&self, run: RunKey, attempt: u32) -> Result<ReviewCounts, StoreError> {
        self.reads.first("review_counts", reviews::review_counts(run, attempt)).await.map(Option::unwrap_or_default)
    }

    /// The patches of an attempt, in order, without their diffs.
    pub async fn patches(&self, run: RunKey, attempt: u32) -> Result<Vec<PatchSummary>, StoreError> {
        self.reads.all("patches", reviews::patches(run, attempt)).await
    }

    /// The patch of this seq, if that frame is one.
    pub async fn patch(&self, run: RunKey, seq: u64) -> Result<Option<Patch>, StoreError> {
        self.reads.first("patch", reviews::patch(run, seq)).await
    }

    /// The pipelines, by name, with runs that retention may delete at some time: finished and not pinned.
    pub async fn retention_candidates(&self) -> Result<Vec<RetentionCandidate>, StoreError> {
        self.reads.all("retention_candidates", retention::candidates()).await
    }

    /// Up to `limit` of a pipeline's runs that the rule deletes now, the oldest first.
    pub async fn expired_runs(
        &self,
        pipeline: &str,
        rule: Retention,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<ExpiredRun>, StoreError> {
        let pipeline = pipeline.to_owned();
        self.reads
            .snapshot("expired_runs", async move |mut db| {
                retention::expired(&mut db, &pipeline, rule, now, limit).await
            })
            .await
    }

    /// Up to `limit` runs that are deleted and have left something, by key, those after this one.
    pub async fn tombstones(&self, after: RunKey, limit: u32) -> Result<Vec<(RunKey, RunId)>, StoreError> {
        self.reads.all("tombstones", retention::tombstones(after, limit)).await
    }

    /// Up to `limit` notifications that are due, the longest waiting first: up to `per_receiver` for one address.
    pub async fn due_deliveries(
        &self,
        now: Timestamp,
        per_receiver: u32,
        limit: u32,
    ) -> Result<Vec<OutboxDelivery>, StoreError> {
        self.reads.all("due_deliveries", outbox::due(now, per_receiver, limit)).await
    }

    /// When the next notification is due of those that are not.
    pub async fn next_delivery_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.reads.first("next_delivery_due", outbox::next_due(now)).await.map(Option::flatten)
    }

    /// The cursor of every schedule: due times up to it are done.
    pub async fn schedule_cursors(&self) -> Result<BTreeMap<ScheduleName, Timestamp>, StoreError> {
        Ok(self.reads.all("schedule_cursors", schedules::cursors()).await?.into_iter().collect())
    }

    /// What is known of every schedule besides its file.
    pub async fn schedule_states(&self) -> Result<BTreeMap<ScheduleName, ScheduleState>, StoreError> {
        Ok(self.reads.all("schedule_states", schedules::states()).await?.into_iter().collect())
    }

    /// Everything that is paused.
    pub async fn pauses(&self) -> Result<BTreeMap<ScheduleScope, SchedulePause>, StoreError> {
        Ok(self.reads.all("pauses", schedules::pauses()).await?.into_iter().collect())
    }

    /// Up to `limit` calls of hooks that the filter wants, newest first, those before `before`; and where the next page
    /// begins.
    pub async fn hook_deliveries(
        &self,
        filter: &DeliveryFilter,
        limit: u32,
        before: Option<i64>,
    ) -> Result<(Vec<HookDelivery>, Option<i64>), StoreError> {
        let filter = filter.clone();
        self.reads
            .single("hook_deliveries", async move |mut db| hook_deliveries::page(&mut db, &filter, limit, before).await)
            .await
    }

    /// The calls of hooks that were refused since then, if there are any.
    pub async fn refused_hook_deliveries(&self, since: Timestamp) -> Result<Option<RecentRefusals>, StoreError> {
        self.reads
            .snapshot("refused_hook_deliveries", async move |mut db| {
                hook_deliveries::refused_since(&mut db, since).await
            })
            .await
    }

    /// The session whose cookie has this digest.
    pub async fn session(&self, digest: &Digest) -> Result<Option<StoredSession>, StoreError> {
        self.reads.first("session", access::session(digest)).await
    }

    /// All sessions that end after `now`, the one that was used last first.
    pub async fn sessions(&self, now: Timestamp) -> Result<Vec<StoredSession>, StoreError> {
        self.reads.all("sessions", access::sessions(now)).await
    }

    /// The token whose secret has this digest.
    pub async fn token(&self, digest: &Digest) -> Result<Option<StoredToken>, StoreError> {
        self.reads.first("token", access::token(digest)).await
    }

    /// All tokens, newest first.
    pub async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        self.reads.all("tokens", access::tokens()).await
    }

    /// The login code with this digest.
    pub async fn code(&self, digest: &Digest) -> Result<Option<StoredCode>, StoreError> {
        self.reads.first("code", access::code(digest)).await
    }

    /// Up to `limit` lines of the audit log that the filter wants, newest first. The filter's own `limit` does not
    /// count.
    pub async fn audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.reads.all("audit", audit::page(filter, limit)).await
    }

    /// Up to `limit` lines of the audit log after this one, oldest first.
    pub async fn audit_after(&self, id: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.reads.all("audit_after", audit::after(id, limit)).await
    }
}
