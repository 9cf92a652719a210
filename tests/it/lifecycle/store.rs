//! The real store, as the servers of a simulation share it: every transaction is recorded in the order in which it was
//! made, and the database can be unavailable.
//!
//! Its work takes no time of the simulation's clock, which stands while something blocks; only the way there and back
//! does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use runtrail::journal::JournalBackend;
use runtrail::model::{FrameRecord, Run, Timestamp};
use runtrail::store::{Durability, Interceptor, JournalHead, RunKey, Store, StoreCommand, StoreError, WriteOutcome};
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use crate::support::TestDatabase;

/// The store, and what was done with it.
#[derive(Clone)]
pub struct RecordingStore {
    inner: Store,
    /// Where the inner one works: it goes on whatever becomes of a simulated server.
    helper: Arc<Runtime>,
    /// Every command and what became of it, in order.
    pub history: Arc<Mutex<Vec<(StoreCommand, WriteOutcome)>>>,
    /// Whether the database does not answer.
    pub away: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
}

/// How long some calls and some answers take on their way, in milliseconds: time for others to come between.
const WAYS: [u64; 8] = [0, 0, 0, 0, 1, 7, 60, 300];

impl RecordingStore {
    pub fn open(database: &TestDatabase) -> Self {
        let helper = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let inner = helper.block_on(database.open(Durability::Normal));
        Self { inner, helper: Arc::new(helper), history: Arc::default(), away: Arc::default(), calls: Arc::default() }
    }

    /// The store that servers read from.
    pub fn reads(&self) -> Store {
        self.inner.intercepted(Arc::new(self.clone()))
    }

    async fn call<T: Send + 'static, F>(&self, call: impl FnOnce(Store) -> F + Send + 'static) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        if self.away.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable(Arc::new(std::io::Error::other("away"))));
        }
        let (inner, helper) = (self.inner.clone(), Arc::clone(&self.helper));
        self.on_the_way().await;
        let answer = tokio::task::spawn_blocking(move || helper.block_on(call(inner))).await.unwrap();
        self.on_the_way().await;
        answer
    }

    /// Different from time to time, and the same whenever the same steps are taken.
    async fn on_the_way(&self) {
        let count = self.calls.fetch_add(1, Ordering::Relaxed);
        let drawn = (count.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % WAYS.len();
        if WAYS[drawn] > 0 {
            tokio::time::sleep(Duration::from_millis(WAYS[drawn])).await;
        }
    }
}

#[async_trait]
impl JournalBackend for RecordingStore {
    async fn commit(&self, commands: &[StoreCommand]) -> Result<Vec<WriteOutcome>, StoreError> {
        let (commands, history) = (commands.to_vec(), Arc::clone(&self.history));
        self.call(async move |inner| {
            // Held over the commit: the order of the record is that of the transactions.
            let mut history = history.lock().await;
            let outcomes = inner.commit(&commands).await?;
            history.extend(commands.into_iter().zip(outcomes.iter().cloned()));
            Ok(outcomes)
        })
        .await
    }

    async fn head(&self, run: RunKey) -> Result<JournalHead, StoreError> {
        self.call(async move |inner| inner.head(run).await).await
    }

    async fn frames(&self, run: RunKey, after: u64, limit: u32) -> Result<(Vec<FrameRecord>, JournalHead), StoreError> {
        self.call(async move |inner| inner.frames(run, after, limit).await).await
    }

    async fn run(&self, run: RunKey) -> Result<Option<Run>, StoreError> {
        self.call(async move |inner| inner.run(run).await).await
    }
}

impl Interceptor for RecordingStore {
    fn intercept(
        &self,
        _name: &'static str,
        read: BoxFuture<'static, ()>,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        let this = self.clone();
        async move {
            this.call(async move |_| {
                read.await;
                Ok(())
            })
            .await
        }
        .boxed()
    }

    fn is_shared(&self) -> bool {
        true
    }

    /// The simulation's.
    fn now(&self) -> Option<Timestamp> {
        Some(Timestamp::wall())
    }
}
