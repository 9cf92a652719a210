//! What is read: short transactions on connections that cannot write.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row};

use super::attempts::earlier;
use super::create::KEPT;
use super::list;
use super::pages::{first_frames, phase_starts};
use super::review::review_counts;
use super::rows::{self, RUN};
use super::{SqliteStore, classify, detached};
use crate::model::queue::QueuedRun;
use crate::model::{Pin, Run, RunFilter, RunId, Status, Timestamp};
use crate::store::{Assignment, Outputs, Pulse, RunKey, RunStore, StoreError, StoredSecrets, View, ViewPart};

/// `SELECT` with the columns of a run, then this.
fn select_run(rest: &str) -> AssertSqlSafe<String> {
    // Safe: both parts are literals of this module.
    AssertSqlSafe(format!("SELECT {RUN} FROM runs {rest}"))
}

#[async_trait]
impl RunStore for SqliteStore {
    fn is_exclusive(&self) -> bool {
        // The file is locked: see `lock`.
        true
    }

    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1 FROM runs LIMIT 1").fetch_optional(&self.reads).await.map(drop).map_err(classify)
    }

    async fn find(&self, id: &RunId) -> Result<Option<(RunKey, Pulse)>, StoreError> {
        let row = sqlx::query("SELECT key, status, attempt, head FROM runs WHERE id = ? AND deleted_at IS NULL")
            .bind(id.as_str())
            .fetch_optional(&self.reads)
            .await
            .map_err(classify)?;
        let found = row.map(|row| Ok((RunKey(row.try_get("key")?), rows::pulse(&row)?))).transpose();
        found.map_err(classify)
    }

    async fn by_idempotency_key(&self, key: &str) -> Result<Option<(Option<RunKey>, Vec<u8>)>, StoreError> {
        let row = sqlx::query(
            "SELECT runs.key AS run, digest FROM idempotency_keys AS known
             LEFT JOIN runs ON runs.key = known.run AND runs.deleted_at IS NULL
             WHERE known.key = ? AND known.created_at > ?",
        )
        .bind(key)
        .bind(Timestamp::now().0 - KEPT)
        .fetch_optional(&self.reads)
        .await
        .map_err(classify)?;
        let read = |row: sqlx::sqlite::SqliteRow| {
            Ok((row.try_get::<Option<i64>, _>("run")?.map(RunKey), row.try_get("digest")?))
        };
        row.map(read).transpose().map_err(classify)
    }

    async fn pin(&self, key: RunKey) -> Result<Option<Pin>, StoreError> {
        let row = sqlx::query("SELECT pinned, pins FROM runs WHERE key = ? AND deleted_at IS NULL")
            .bind(key.0)
            .fetch_optional(&self.reads)
            .await
            .map_err(classify)?;
        row.as_ref().map(rows::pin).transpose().map_err(classify)
    }

    async fn run(&self, key: RunKey) -> Result<Option<Run>, StoreError> {
        let reads = self.reads.clone();
        detached(async move {
            let query = sqlx::query(select_run("WHERE key = ? AND deleted_at IS NULL")).bind(key.0);
            let row = query.fetch_optional(&reads).await.map_err(classify)?;
            row.as_ref().map(rows::run).transpose().map_err(classify)
        })
        .await
    }

    async fn view(&self, id: &RunId, part: &ViewPart) -> Result<Option<View>, StoreError> {
        let mut tx = self.reads.begin().await.map_err(classify)?;
        let row = sqlx::query(select_run("WHERE id = ? AND deleted_at IS NULL"))
            .bind(id.as_str())
            .fetch_optional(&mut *tx)
            .await
            .map_err(classify)?;
        let Some(row) = row else { return Ok(None) };
        let run = rows::run(&row).map_err(classify)?;
        let key = row.try_get("key").map_err(classify)?;
        let frames = first_frames(&mut tx, key, run.head, part).await?;
        let review_counts = review_counts(&mut tx, key, run.attempt).await?;
        let earlier = earlier(&mut tx, key, run.attempt).await?;
        let starts = phase_starts(&mut tx, key, run.attempt).await?;
        Ok(Some(View { key: RunKey(key), run, frames, review_counts, earlier, starts }))
    }

    async fn list(
        &self,
        filter: &RunFilter,
        limit: u32,
        before: Option<&RunId>,
    ) -> Result<(Vec<Run>, Option<RunId>), StoreError> {
        list::page(&self.reads, filter, limit, before).await
    }

    async fn assignment(&self, key: RunKey) -> Result<Option<Assignment>, StoreError> {
        let row = sqlx::query(AssertSqlSafe(format!(
            "SELECT {RUN}, runs.answer, runs.resumes, attempts.pipeline AS recipe FROM runs
             JOIN attempts ON attempts.run = runs.key AND attempts.attempt = runs.attempt
             WHERE runs.key = ? AND runs.deleted_at IS NULL"
        )))
        .bind(key.0)
        .fetch_optional(&self.reads)
        .await
        .map_err(classify)?;
        let Some(row) = row else { return Ok(None) };
        let read = || {
            let pipeline = rows::json(row.try_get("recipe")?, "attempts.pipeline")?;
            let answer = row.try_get::<Option<&str>, _>("answer")?;
            let answer = answer.map(|answer| rows::json(answer, "answer")).transpose()?;
            let cancel_by = row.try_get("cancel_by")?;
            Ok(Assignment { run: rows::run(&row)?, pipeline, answer, resumed: row.try_get("resumes")?, cancel_by })
        };
        read().map(Some).map_err(classify)
    }

    async fn waiting(&self, limit: u32) -> Result<Vec<(RunKey, u32)>, StoreError> {
        self.claimable(limit).await
    }

    async fn queue(&self, limit: u32) -> Result<(u64, Vec<QueuedRun>), StoreError> {
        self.in_order(limit).await
    }

    async fn active_in(&self, group: &str) -> Result<Option<RunId>, StoreError> {
        self.first_active_in(group).await
    }

    async fn superseded(&self) -> Result<Vec<(RunKey, RunId)>, StoreError> {
        self.superseded_runs().await
    }

    async fn answered(&self, limit: u32) -> Result<Vec<(RunKey, u32, bool)>, StoreError> {
        let found = sqlx::query(
            "SELECT key, attempt, gate = 'approved' AND cancel_by IS NULL AS goes_on FROM runs
             WHERE gate IS NOT NULL AND (gate <> 'waiting' OR cancel_by IS NOT NULL) ORDER BY goes_on, key LIMIT ?",
        )
        .bind(limit)
        .fetch_all(&self.reads)
        .await
        .map_err(classify)?;
        let read = |row| {
            let (run, attempt) = rows::key_and_attempt(row)?;
            Ok((run, attempt, row.try_get("goes_on")?))
        };
        found.iter().map(read).collect::<Result<_, _>>().map_err(classify)
    }

    async fn asked(&self) -> Result<Vec<(RunId, u32)>, StoreError> {
        let found = sqlx::query("SELECT id, attempt FROM runs WHERE gate IS NOT NULL")
            .fetch_all(&self.reads)
            .await
            .map_err(classify)?;
        found.iter().map(rows::id_and_attempt).collect::<Result<_, _>>().map_err(classify)
    }

    async fn outputs(&self, key: RunKey, attempt: u32) -> Result<Vec<Outputs>, StoreError> {
        let found = sqlx::query(
            "SELECT name, outputs FROM phases WHERE run = ? AND attempt = ? AND outputs IS NOT NULL ORDER BY position",
        )
        .bind(key.0)
        .bind(attempt)
        .fetch_all(&self.reads)
        .await
        .map_err(classify)?;
        let read =
            |row: &sqlx::sqlite::SqliteRow| Ok((row.try_get("name")?, rows::json(row.try_get("outputs")?, "outputs")?));
        found.iter().map(read).collect::<Result<_, _>>().map_err(classify)
    }

    async fn secrets(&self, key: RunKey) -> Result<StoredSecrets, StoreError> {
        self.stored_secrets(key).await
    }

    async fn lapsed(&self, now: Timestamp) -> Result<Vec<(RunKey, u32)>, StoreError> {
        let found = sqlx::query("SELECT key, attempt FROM runs WHERE status = 'running' AND lease_until < ?")
            .bind(now.0)
            .fetch_all(&self.reads)
            .await
            .map_err(classify)?;
        found.iter().map(rows::key_and_attempt).collect::<Result<_, _>>().map_err(classify)
    }

    async fn marks(&self) -> Result<BTreeMap<(String, String), Timestamp>, StoreError> {
        let rows = sqlx::query("SELECT pipeline, schedule, done FROM schedules").fetch_all(&self.reads).await;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            Ok(((row.try_get("pipeline")?, row.try_get("schedule")?), Timestamp(row.try_get("done")?)))
        };
        rows.and_then(|rows| rows.iter().map(read).collect()).map_err(classify)
    }

    async fn counts(&self) -> Result<Vec<(Status, u64)>, StoreError> {
        let found = sqlx::query("SELECT status, runs FROM run_counts WHERE runs > 0").fetch_all(&self.reads).await;
        let found = found.map_err(classify)?;
        let read = |row| Ok((rows::status(row)?, rows::count(row, "runs")?));
        found.iter().map(read).collect::<Result<_, _>>().map_err(classify)
    }
}
