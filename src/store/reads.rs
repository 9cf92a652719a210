//! How the handle reads: each read runs to its end, on a connection that cannot write.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::StoreError;
use super::database::{Database, Snapshot};
use super::statement::Query;
use super::transaction::ReadSnapshot;
use crate::model::Timestamp;

/// Stands between a [`Store`](super::Store) and its database: tests delay, fail or count reads with it.
pub trait Interceptor: Send + Sync {
    /// Carries out the read that is called `name`, or fails it.
    fn intercept(&self, name: &'static str, read: BoxFuture<'static, ()>)
    -> BoxFuture<'static, Result<(), StoreError>>;

    /// The time that leases count by, in place of the database's own.
    fn now(&self) -> Option<Timestamp> {
        None
    }

    /// Whether the database is taken for one that other servers share: their workers have runs too, and leases count.
    fn is_shared(&self) -> bool {
        false
    }
}

/// Carries out reads. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reads {
    database: Arc<Database>,
    interceptor: Option<Arc<dyn Interceptor>>,
}

impl Reads {
    pub(super) fn new(database: Arc<Database>) -> Self {
        Self { database, interceptor: None }
    }

    pub(super) fn intercepted(&self, interceptor: Arc<dyn Interceptor>) -> Self {
        Self { interceptor: Some(interceptor), ..self.clone() }
    }

    /// Whether no other server can have the database open: a SQLite file is locked (`sqlite/lock.rs`).
    pub(super) fn is_exclusive(&self) -> bool {
        !self.database.is_shared() && !self.interceptor.as_ref().is_some_and(|interceptor| interceptor.is_shared())
    }

    /// The time that leases count by.
    pub(super) fn now(&self) -> Timestamp {
        let replaced = self.interceptor.as_ref().and_then(|interceptor| interceptor.now());
        replaced.unwrap_or_else(|| self.database.now())
    }

    /// The first row of a query.
    pub(super) async fn first<T: Send + 'static>(
        &self,
        name: &'static str,
        query: Query<'_, T>,
    ) -> Result<Option<T>, StoreError> {
        let query = query.into_owned();
        self.single(name, async move |mut db| db.fetch_optional(query).await).await
    }

    /// All rows of a query.
    pub(super) async fn all<T: Send + 'static>(
        &self,
        name: &'static str,
        query: Query<'_, T>,
    ) -> Result<Vec<T>, StoreError> {
        let query = query.into_owned();
        self.single(name, async move |mut db| db.fetch_all(query).await).await
    }

    /// Reads with statements that need not see the same state of the database.
    pub(super) async fn single<T, F>(
        &self,
        name: &'static str,
        work: impl FnOnce(Snapshot) -> F + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let database = Arc::clone(&self.database);
        self.to_its_end(name, async move { work(database.single().await?).await }).await
    }

    /// Reads with statements that see the same state of the database.
    pub(super) async fn snapshot<T, F>(
        &self,
        name: &'static str,
        work: impl FnOnce(Snapshot) -> F + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let database = Arc::clone(&self.database);
        self.to_its_end(name, async move { work(database.snapshot().await?).await }).await
    }

    /// Runs a read to its end even if its caller is dropped. A stream stops wherever its client stops reading, and a
    /// read that stopped with it would keep one of the few connections from everybody else.
    async fn to_its_end<T: Send + 'static>(
        &self,
        name: &'static str,
        read: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some(interceptor) = &self.interceptor else {
            return tokio::spawn(read).await.unwrap_or_else(|error| Err(StoreError::Failed(Arc::new(error))));
        };
        let (sender, receiver) = oneshot::channel();
        let read = async move {
            // Who asked may be gone.
            let _ = sender.send(read.await);
        };
        interceptor.intercept(name, read.boxed()).await?;
        receiver.await.unwrap_or_else(|error| Err(StoreError::Failed(Arc::new(error))))
    }
}
