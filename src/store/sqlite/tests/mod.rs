//! Commands and queries on a real SQLite file.

mod audit;
mod hook_deliveries;
mod placement;
mod purge;
mod retention;
mod run_list;

use tempfile::TempDir;

use crate::store::{Durability, Store};

async fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&folder.path().join("test.db"), Durability::Normal).await.unwrap();
    (folder, store)
}
