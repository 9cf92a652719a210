//! The database behind the store: SQLite or PostgreSQL.

use tokio::sync::mpsc;

use super::notices::Notices;
use super::postgres::{PostgresDatabase, PostgresSnapshot};
use super::sqlite::{SqliteDatabase, SqliteSnapshot};
use super::statement::Query;
use super::transaction::ReadSnapshot;
use super::{StoreCommand, StoreError, WriteOutcome};
use crate::model::{DatabaseSize, Timestamp};

/// A database of either kind.
pub enum Database {
    Sqlite(SqliteDatabase),
    Postgres(Box<PostgresDatabase>),
}

/// A connection to read from.
pub enum Snapshot {
    Sqlite(SqliteSnapshot),
    Postgres(PostgresSnapshot),
}

impl Database {
    /// A connection to read from with single statements.
    pub async fn single(&self) -> Result<Snapshot, StoreError> {
        match self {
            Self::Sqlite(database) => database.single().await.map(Snapshot::Sqlite),
            Self::Postgres(database) => database.single().await.map(Snapshot::Postgres),
        }
    }

    /// A connection on which several statements see the same state.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        match self {
            Self::Sqlite(database) => database.snapshot().await.map(Snapshot::Sqlite),
            Self::Postgres(database) => database.snapshot().await.map(Snapshot::Postgres),
        }
    }

    /// Carries out commands in order, in one durable transaction. Nothing is written if it fails.
    pub async fn commit(&self, commands: &[StoreCommand]) -> Result<Vec<WriteOutcome>, StoreError> {
        match self {
            Self::Sqlite(database) => database.commit(commands).await,
            Self::Postgres(database) => database.commit(commands).await,
        }
    }

    /// Whether other instances may have it open.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// What other instances commit. `None` if there are none, or it was taken before.
    pub fn take_notices(&self) -> Option<mpsc::Receiver<Notices>> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(database) => database.take_notices(),
        }
    }

    /// The time that leases count by: that of the server, or of the machine that has the file.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Sqlite(_) => Timestamp::wall(),
            Self::Postgres(database) => database.now(),
        }
    }

    /// Frees the space that is reserved for a full disk. Returns whether there was any.
    pub async fn release_reserve(&self) -> bool {
        match self {
            Self::Sqlite(database) => database.release_reserve().await,
            Self::Postgres(_) => false,
        }
    }

    /// Reserves space for a full disk again. Returns whether it is reserved; a server's disk is not ours to reserve.
    pub async fn restore_reserve(&self, does_output_wait: bool) -> bool {
        match self {
            Self::Sqlite(database) => database.restore_reserve(does_output_wait).await,
            Self::Postgres(_) => true,
        }
    }

    /// How large it is.
    pub async fn size(&self) -> Result<DatabaseSize, StoreError> {
        match self {
            Self::Sqlite(database) => database.size().await,
            Self::Postgres(database) => database.size().await,
        }
    }
}

impl ReadSnapshot for Snapshot {
    async fn fetch_while<T: Send>(
        &mut self,
        query: Query<'_, T>,
        go_on: impl FnMut(&T) -> bool + Send,
    ) -> Result<Vec<T>, StoreError> {
        match self {
            Self::Sqlite(snapshot) => snapshot.fetch_while(query, go_on).await,
            Self::Postgres(snapshot) => snapshot.fetch_while(query, go_on).await,
        }
    }

    async fn fetch_optional<T: Send>(&mut self, query: Query<'_, T>) -> Result<Option<T>, StoreError> {
        match self {
            Self::Sqlite(snapshot) => snapshot.fetch_optional(query).await,
            Self::Postgres(snapshot) => snapshot.fetch_optional(query).await,
        }
    }
}
