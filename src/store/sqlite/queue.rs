//! What waits for a worker, and which runs of a group are in each other's way (`model/queue.rs`).

use std::collections::HashMap;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{SqliteStore, classify, rows};
use crate::model::RunId;
use crate::model::queue::QueuedRun;
use crate::store::{RunKey, StoreError};

/// The order in which runs are taken.
const ORDER: &str = "ORDER BY priority DESC, queued_at, key LIMIT ?";

impl SqliteStore {
    pub(super) async fn claimable(&self, limit: u32) -> Result<Vec<(RunKey, u32)>, StoreError> {
        let found = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT key, attempt FROM runs INDEXED BY runs_pending WHERE status = 'pending' AND NOT EXISTS (
                SELECT 1 FROM runs AS other
                WHERE other.concurrency_group = runs.concurrency_group AND other.status = 'running') {ORDER}"
        )))
        .bind(limit)
        .fetch_all(&self.reads)
        .await
        .map_err(classify)?;
        found.iter().map(rows::key_and_attempt).collect::<Result<_, _>>().map_err(classify)
    }

    pub(super) async fn in_order(&self, limit: u32) -> Result<(u64, Vec<QueuedRun>), StoreError> {
        let mut tx = self.reads.begin().await.map_err(classify)?;
        let total: i64 = sqlx::query_scalar("SELECT count(*) FROM runs WHERE status = 'pending'")
            .fetch_one(&mut *tx)
            .await
            .map_err(classify)?;
        let found = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT id, priority, (
                SELECT id FROM runs AS other
                WHERE other.concurrency_group = runs.concurrency_group AND other.status = 'running') AS held_by
             FROM runs INDEXED BY runs_pending WHERE status = 'pending' {ORDER}"
        )))
        .bind(limit)
        .fetch_all(&mut *tx)
        .await
        .map_err(classify)?;
        // Those that are held by others keep nobody else waiting.
        let mut before: HashMap<Option<RunId>, u64> = HashMap::new();
        let mut read = |row: &SqliteRow| {
            let held_by = row.try_get::<Option<&str>, _>("held_by")?.map(|id| rows::id(id, "held_by")).transpose()?;
            let position = before.entry(held_by.clone()).or_default();
            *position += 1;
            let position = *position;
            Ok(QueuedRun {
                id: rows::id(row.try_get("id")?, "id")?,
                position,
                priority: row.try_get("priority")?,
                held_by,
            })
        };
        let waiting = found.iter().map(&mut read).collect::<Result<_, _>>().map_err(classify)?;
        Ok((u64::try_from(total).unwrap_or_default(), waiting))
    }

    pub(super) async fn first_active_in(&self, group: &str) -> Result<Option<RunId>, StoreError> {
        let found: Option<String> = sqlx::query_scalar(
            "SELECT id FROM runs WHERE concurrency_group = ? AND status IN ('pending', 'running') LIMIT 1",
        )
        .bind(group)
        .fetch_optional(&self.reads)
        .await
        .map_err(classify)?;
        found.map(|id| rows::id(&id, "id")).transpose().map_err(classify)
    }

    pub(super) async fn superseded_runs(&self) -> Result<Vec<(RunKey, RunId)>, StoreError> {
        // From the few that supersede to those before them. Of several, the last one.
        let found = sqlx::query(
            "SELECT old.key, new.id FROM runs AS new INDEXED BY runs_superseding
             CROSS JOIN runs AS old INDEXED BY runs_group_active
                ON old.concurrency_group = new.concurrency_group AND old.status IN ('pending', 'running')
                AND (old.queued_at, old.key) < (new.queued_at, new.key)
             WHERE new.supersedes = 1 AND new.status IN ('pending', 'running') AND old.cancel_by IS NULL
             ORDER BY new.queued_at, new.key",
        )
        .fetch_all(&self.reads)
        .await
        .map_err(classify)?;
        let read = |row: &SqliteRow| Ok((RunKey(row.try_get("key")?), rows::id(row.try_get("id")?, "id")?));
        let pairs: Result<std::collections::BTreeMap<_, _>, _> = found.iter().map(read).collect();
        Ok(pairs.map_err(classify)?.into_iter().collect())
    }
}
