//! The real store, as the servers of a simulation share it: every transaction is noted in the order in which it was
//! made, and the database can be away.
//!
//! What it does takes no time of the simulation's clock, which stands while something blocks; only the way there and
//! back does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use runtrail::model::queue::QueuedRun;
use runtrail::model::review::{FindingFilter, ReviewCounts};
use runtrail::model::{DatabaseSize, FrameRecord, Pin, Retention, Run, RunFilter, RunId, Status, Timestamp};
use runtrail::store::*;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

/// The store, and what was done with it.
#[derive(Clone)]
pub struct Noted {
    inner: Arc<SqliteStore>,
    /// Where the inner one works: it goes on whatever becomes of a simulated server.
    helper: Arc<Runtime>,
    /// Every transaction, in order.
    pub history: Arc<Mutex<Vec<(Op, Outcome)>>>,
    /// Whether the database does not answer.
    pub away: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
}

/// How long some questions and some answers take on their way, in milliseconds: time for others to come between.
const WAYS: [u64; 8] = [0, 0, 0, 0, 1, 7, 60, 300];

impl Noted {
    pub fn open(file: &std::path::Path) -> Self {
        let helper = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let inner = Arc::new(helper.block_on(SqliteStore::open(file, Durability::Normal)).unwrap());
        Self { inner, helper: Arc::new(helper), history: Arc::default(), away: Arc::default(), asked: Arc::default() }
    }

    async fn ask<T: Send + 'static, F>(
        &self,
        ask: impl FnOnce(Arc<SqliteStore>) -> F + Send + 'static,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        if self.away.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable(Arc::new(std::io::Error::other("away"))));
        }
        let (inner, helper) = (Arc::clone(&self.inner), Arc::clone(&self.helper));
        self.on_the_way().await;
        let answer = tokio::task::spawn_blocking(move || helper.block_on(ask(inner))).await.unwrap();
        self.on_the_way().await;
        answer
    }

    /// Different from time to time, and the same whenever the same steps are taken.
    async fn on_the_way(&self) {
        let count = self.asked.fetch_add(1, Ordering::Relaxed);
        let drawn = (count.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % WAYS.len();
        if WAYS[drawn] > 0 {
            tokio::time::sleep(Duration::from_millis(WAYS[drawn])).await;
        }
    }
}

#[async_trait]
impl JournalStore for Noted {
    async fn commit(&self, ops: &[Op]) -> Result<Vec<Outcome>, StoreError> {
        let (ops, history) = (ops.to_vec(), Arc::clone(&self.history));
        self.ask(async move |inner| {
            // Held over the commit: the order of the notes is that of the transactions.
            let mut history = history.lock().await;
            let outcomes = inner.commit(&ops).await?;
            history.extend(ops.into_iter().zip(outcomes.iter().cloned()));
            Ok(outcomes)
        })
        .await
    }
    async fn pulse(&self, key: RunKey) -> Result<Pulse, StoreError> {
        self.ask(async move |inner| inner.pulse(key).await).await
    }
    async fn frames(&self, key: RunKey, after: u64, limit: u32) -> Result<(Vec<FrameRecord>, Pulse), StoreError> {
        self.ask(async move |inner| inner.frames(key, after, limit).await).await
    }
}

#[async_trait]
impl RunStore for Noted {
    async fn find(&self, id: &RunId) -> Result<Option<(RunKey, Pulse)>, StoreError> {
        let id = id.clone();
        self.ask(async move |inner| inner.find(&id).await).await
    }
    async fn run(&self, key: RunKey) -> Result<Option<Run>, StoreError> {
        self.ask(async move |inner| inner.run(key).await).await
    }
    async fn assignment(&self, key: RunKey) -> Result<Option<Assignment>, StoreError> {
        self.ask(async move |inner| inner.assignment(key).await).await
    }
    async fn waiting(&self, limit: u32) -> Result<Vec<(RunKey, u32)>, StoreError> {
        self.ask(async move |inner| inner.waiting(limit).await).await
    }
    async fn active_in(&self, group: &str) -> Result<Option<RunId>, StoreError> {
        let group = group.to_owned();
        self.ask(async move |inner| inner.active_in(&group).await).await
    }
    async fn superseded(&self) -> Result<Vec<(RunKey, RunId)>, StoreError> {
        self.ask(async move |inner| inner.superseded().await).await
    }
    async fn answered(&self, limit: u32) -> Result<Vec<(RunKey, u32, bool)>, StoreError> {
        self.ask(async move |inner| inner.answered(limit).await).await
    }
    async fn asked(&self) -> Result<Vec<(RunId, u32)>, StoreError> {
        self.ask(async move |inner| inner.asked().await).await
    }
    async fn outputs(&self, key: RunKey, attempt: u32) -> Result<Vec<Outputs>, StoreError> {
        self.ask(async move |inner| inner.outputs(key, attempt).await).await
    }
    async fn lapsed(&self, now: Timestamp) -> Result<Vec<(RunKey, u32)>, StoreError> {
        self.ask(async move |inner| inner.lapsed(now).await).await
    }
    async fn secrets(&self, key: RunKey) -> Result<runtrail::store::StoredSecrets, StoreError> {
        self.ask(async move |inner| inner.secrets(key).await).await
    }
    async fn queue(&self, limit: u32) -> Result<(u64, Vec<QueuedRun>), StoreError> {
        self.ask(async move |inner| inner.queue(limit).await).await
    }
    // Nobody asks for these here.
    async fn by_idempotency_key(&self, _: &str) -> Result<Option<(Option<RunKey>, Vec<u8>)>, StoreError> {
        unreachable!()
    }
    async fn pin(&self, _: RunKey) -> Result<Option<Pin>, StoreError> {
        unreachable!()
    }
    async fn view(&self, _: &RunId, _: &ViewPart) -> Result<Option<View>, StoreError> {
        unreachable!()
    }
    async fn list(&self, _: &RunFilter, _: u32, _: Option<&RunId>) -> Result<(Vec<Run>, Option<RunId>), StoreError> {
        unreachable!()
    }
    async fn marks(&self) -> Result<std::collections::BTreeMap<(String, String), Timestamp>, StoreError> {
        unreachable!()
    }
    async fn counts(&self) -> Result<Vec<(Status, u64)>, StoreError> {
        unreachable!()
    }
}

#[async_trait]
impl ReviewStore for Noted {
    async fn review_counts(&self, run: RunKey, attempt: u32) -> Result<ReviewCounts, StoreError> {
        self.ask(async move |inner| inner.review_counts(run, attempt).await).await
    }
    async fn patches(&self, run: RunKey, attempt: u32) -> Result<Vec<PatchRow>, StoreError> {
        self.ask(async move |inner| inner.patches(run, attempt).await).await
    }
    async fn findings(&self, _: RunKey, _: u32, _: &FindingFilter, _: u32) -> Result<Findings, StoreError> {
        unreachable!()
    }
    async fn patch(&self, _: RunKey, _: u64) -> Result<Option<runtrail::model::kinds::Patch>, StoreError> {
        unreachable!()
    }
}

#[async_trait]
impl RetentionStore for Noted {
    async fn kept(&self) -> Result<Vec<Kept>, StoreError> {
        unreachable!()
    }
    async fn outdated(&self, _: &str, _: Retention, _: Timestamp, _: u32) -> Result<Vec<Outdated>, StoreError> {
        unreachable!()
    }
    async fn deleted(&self, _: RunKey, _: u32) -> Result<Vec<(RunKey, RunId)>, StoreError> {
        unreachable!()
    }
    async fn size(&self) -> Result<DatabaseSize, StoreError> {
        unreachable!()
    }
}

#[async_trait]
impl AttemptStore for Noted {
    async fn attempts(
        &self,
        _: RunKey,
        _: Option<u32>,
        _: u32,
    ) -> Result<Vec<runtrail::model::attempt::Attempt>, StoreError> {
        unreachable!()
    }
    async fn log_of(&self, _: RunKey, _: Arc<str>, _: u64, _: u64) -> Result<(Vec<FrameRecord>, u64), StoreError> {
        unreachable!()
    }
    async fn redrawn(&self, _: RunKey, _: u64, _: u64) -> Result<(Vec<(u64, FrameRecord)>, u64), StoreError> {
        unreachable!()
    }
}

impl runtrail::store::TriggerStore for Noted {}

impl runtrail::store::AccessStore for Noted {}

/// The pipelines of a simulation have no receivers, so nothing is ever to be delivered.
#[async_trait]
impl OutboxStore for Noted {
    async fn due(&self, _: Timestamp, _: u32, _: u32) -> Result<Vec<Delivery>, StoreError> {
        unreachable!()
    }
    async fn next_due(&self, _: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        unreachable!()
    }
}
