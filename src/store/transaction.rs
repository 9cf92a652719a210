//! What commands and queries know of a database: the little that each driver implements.

use super::statement::{Query, Statement};
use super::{RunKey, StoreError};
use crate::model::FrameRecord;

/// One consistent view of the database, to read from.
pub trait ReadSnapshot: Send {
    /// Reads rows in order, as long as `go_on` says so of the value that was read last.
    ///
    /// # Errors
    /// The database could not be read, or holds something else than this program has written. Likewise below.
    fn fetch_while<T: Send>(
        &mut self,
        query: Query<'_, T>,
        go_on: impl FnMut(&T) -> bool + Send,
    ) -> impl Future<Output = Result<Vec<T>, StoreError>> + Send;

    /// All rows.
    fn fetch_all<T: Send>(&mut self, query: Query<'_, T>) -> impl Future<Output = Result<Vec<T>, StoreError>> + Send {
        self.fetch_while(query, |_| true)
    }

    /// The first row, if there is one.
    fn fetch_optional<T: Send>(
        &mut self,
        query: Query<'_, T>,
    ) -> impl Future<Output = Result<Option<T>, StoreError>> + Send;
}

/// The writer's transaction. Dropped without a commit, it is rolled back.
pub trait Transaction: ReadSnapshot {
    /// Carries out a statement. Returns how many rows it has changed.
    fn execute(&mut self, statement: Statement<'_>) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Adds frames to the journals of runs. The hot path: a driver uses what its database is fastest with.
    fn insert_frames(
        &mut self,
        journals: &[(RunKey, &[FrameRecord])],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes the secrets of a run, all but their names, so that their bytes are gone from the disk soon after the
    /// commit.
    fn erase_secrets(&mut self, run: RunKey) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives a few empty pages back to the file system. Returns whether there are more to give back.
    fn vacuum_pages(&mut self) -> impl Future<Output = Result<bool, StoreError>> + Send;
}
