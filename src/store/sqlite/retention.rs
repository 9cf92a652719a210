//! Which runs may go, and how much room all of them take.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row};

use super::{SqliteStore, classify, rows};
use crate::model::{DatabaseSize, Retention, RunId, Timestamp};
use crate::store::{Kept, Outdated, RetentionStore, RunKey, StoreError};

/// Runs that may go: the terms of the index `runs_kept`, which has them in the order in which they do.
const MAY_GO: &str = "finished_at IS NOT NULL AND pinned = 0 AND deleted_at IS NULL";

#[async_trait]
impl RetentionStore for SqliteStore {
    async fn kept(&self) -> Result<Vec<Kept>, StoreError> {
        // From one name to the next in the index, not over all runs.
        let found = sqlx::query(AssertSqlSafe(format!(
            "WITH RECURSIVE names (name) AS (
                SELECT min(pipeline) FROM runs WHERE {MAY_GO}
                UNION ALL
                SELECT (SELECT min(pipeline) FROM runs WHERE {MAY_GO} AND pipeline > name) FROM names WHERE name IS NOT NULL
             )
             SELECT name, (SELECT min(finished_at) FROM runs WHERE {MAY_GO} AND pipeline = name) AS oldest
             FROM names WHERE name IS NOT NULL"
        )))
        .fetch_all(&self.reads)
        .await
        .map_err(classify)?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            Ok(Kept { pipeline: row.try_get("name")?, oldest: Timestamp(row.try_get("oldest")?) })
        };
        found.iter().map(read).collect::<Result<_, _>>().map_err(classify)
    }

    async fn outdated(
        &self,
        pipeline: &str,
        rule: Retention,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Outdated>, StoreError> {
        let mut tx = self.reads.begin().await.map_err(classify)?;
        // Both rules are a place in the order of ends: what ended there or before goes.
        let by_age = rule.age_ms.map(|age| (now.0.saturating_sub(i64::try_from(age).unwrap_or(i64::MAX)), i64::MAX));
        let by_count = match rule.count {
            None => None,
            Some(count) => {
                let first = sqlx::query(AssertSqlSafe(format!(
                    "SELECT finished_at, key FROM runs WHERE {MAY_GO} AND pipeline = ?
                     ORDER BY finished_at DESC, key DESC LIMIT 1 OFFSET ?"
                )));
                let first = first.bind(pipeline).bind(count).fetch_optional(&mut *tx).await.map_err(classify)?;
                let read = |row: sqlx::sqlite::SqliteRow| Ok((row.try_get("finished_at")?, row.try_get("key")?));
                first.map(read).transpose().map_err(classify)?
            }
        };
        let Some((ended, key)) = by_age.max(by_count) else { return Ok(Vec::new()) };
        let found = sqlx::query(AssertSqlSafe(format!(
            "SELECT key, id, status, attempt, head FROM runs
             WHERE {MAY_GO} AND pipeline = ? AND (finished_at, key) <= (?, ?)
                AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.run = runs.key)
             ORDER BY finished_at, key LIMIT ?"
        )));
        let found =
            found.bind(pipeline).bind(ended).bind(key).bind(limit).fetch_all(&mut *tx).await.map_err(classify)?;
        let read = |row| {
            let ((id, attempt), status) = (rows::id_and_attempt(row)?, rows::pulse(row)?.status);
            Ok(Outdated { run: RunKey(row.try_get("key")?), id, status, attempt })
        };
        found.iter().map(read).collect::<Result<_, _>>().map_err(classify)
    }

    async fn deleted(&self, after: RunKey, limit: u32) -> Result<Vec<(RunKey, RunId)>, StoreError> {
        let found = sqlx::query(
            // By name, since SQLite takes the table in the order of its keys if it is not told otherwise.
            "SELECT key, id, attempt FROM runs INDEXED BY runs_gone WHERE deleted_at IS NOT NULL AND key > ? ORDER BY key LIMIT ?",
        )
        .bind(after.0)
        .bind(limit)
        .fetch_all(&self.reads)
        .await
        .map_err(classify)?;
        let read = |row| Ok((rows::key_and_attempt(row)?.0, rows::id_and_attempt(row)?.0));
        found.iter().map(read).collect::<Result<_, _>>().map_err(classify)
    }

    async fn size(&self) -> Result<DatabaseSize, StoreError> {
        let row = sqlx::query(
            "SELECT page_count * page_size AS bytes, freelist_count * page_size AS free_bytes
             FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
        )
        .fetch_one(&self.reads)
        .await
        .map_err(classify)?;
        let read = || Ok((rows::count(&row, "bytes")?, rows::count(&row, "free_bytes")?));
        let (bytes, free_bytes) = read().map_err(classify)?;
        let mut log = self.file.as_os_str().to_owned();
        log.push("-wal");
        // None is as good as an empty one.
        let wal_bytes = tokio::fs::metadata(log).await.map_or(0, |log| log.len());
        Ok(DatabaseSize { bytes, wal_bytes, free_bytes })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::model::Status;
    use crate::store::sqlite::{Durability, by_hand};

    /// A run as the rule sees it.
    #[derive(Clone, Debug)]
    struct Seen {
        pipeline: &'static str,
        status: Status,
        finished_at: Option<i64>,
        pinned: bool,
        deleted: bool,
    }

    fn seen() -> impl Strategy<Value = Seen> {
        let pipeline = prop::sample::select(vec!["a", "b"]);
        let status = prop::sample::select(Status::ALL.to_vec());
        // Few moments, so that many runs end at the same.
        (pipeline, status, 0i64..20, prop::bool::weighted(0.2), prop::bool::weighted(0.1)).prop_map(
            |(pipeline, status, at, pinned, deleted)| {
                let deleted = deleted && status.is_finished() && !pinned;
                Seen { pipeline, status, finished_at: status.is_finished().then_some(at), pinned, deleted }
            },
        )
    }

    /// The rule in plain words: of the runs of a pipeline that are finished, not pinned and not gone already, the
    /// newest first, those beyond the count go, and those that ended so long ago.
    fn list_model(runs: &[Seen], pipeline: &str, rule: Retention, now: i64) -> Vec<i64> {
        let mut may_go: Vec<(i64, i64)> = (1..)
            .zip(runs)
            .filter(|(_, run)| run.pipeline == pipeline && run.status.is_finished() && !run.pinned && !run.deleted)
            .map(|(key, run)| (run.finished_at.unwrap(), key))
            .collect();
        may_go.sort_unstable();
        may_go.reverse();
        let goes = |(place, (ended, _)): &(usize, (i64, i64))| {
            let too_many = rule.count.is_some_and(|count| *place >= count as usize);
            let too_old = rule.age_ms.is_some_and(|age| now - ended >= age as i64);
            too_many || too_old
        };
        let mut gone: Vec<_> = may_go.into_iter().enumerate().filter(goes).map(|(_, run)| run).collect();
        gone.reverse();
        gone.into_iter().map(|(_, key)| key).collect()
    }

    /// A store of these runs; they are put there without the engine, since only their ends matter.
    async fn store_of(runs: &[Seen]) -> (tempfile::TempDir, SqliteStore) {
        static EMPTY: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
        let (folder, empty) = (tempfile::tempdir().unwrap(), EMPTY.path().join("x.db"));
        if !empty.exists() {
            drop(SqliteStore::open(&empty, Durability::Normal).await.unwrap());
            // Its readers may close it later: all of it is to be in the one file that is copied.
            let log = rusqlite::Connection::open(&empty).unwrap();
            log.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        }
        let file = folder.path().join("x.db");
        std::fs::copy(empty, &file).unwrap();
        let db = rusqlite::Connection::open(&file).unwrap();
        for run in runs {
            let key = by_hand::run(&db, run.pipeline, run.status, run.finished_at.unwrap_or_default());
            let change = "UPDATE runs SET pinned = ?2, deleted_at = ?3 WHERE key = ?1";
            db.execute(change, rusqlite::params![key, run.pinned, run.deleted.then_some(1)]).unwrap();
        }
        drop(db);
        (folder, SqliteStore::open(&file, Durability::Normal).await.unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn what_goes_is_what_the_list_says(
            runs in prop::collection::vec(seen(), 0..30),
            age_ms in prop::option::of(0u64..25),
            count in prop::option::of(0u32..12),
            now in 0i64..40,
            limit in 1u32..40,
        ) {
            let rule = Retention { age_ms, count };
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async {
                let (_folder, store) = store_of(&runs).await;
                for pipeline in ["a", "b", "c"] {
                    let found = store.outdated(pipeline, rule, Timestamp(now), limit).await.unwrap();
                    let found: Vec<i64> = found.into_iter().map(|run| run.run.0).collect();
                    let mut expected = list_model(&runs, pipeline, rule, now);
                    expected.truncate(limit as usize);
                    prop_assert_eq!(found, expected);
                }
                let kept = store.kept().await.unwrap();
                let all = Retention { age_ms: Some(0), count: None };
                for pipeline in ["a", "b"] {
                    let first = list_model(&runs, pipeline, all, 100).first().map(|key| runs[*key as usize - 1].finished_at.unwrap());
                    let oldest = kept.iter().find(|kept| kept.pipeline == pipeline).map(|kept| kept.oldest.0);
                    prop_assert_eq!(oldest, first);
                }
                let deleted = (1..).zip(&runs).filter(|(_, run)| run.deleted).map(|(key, _)| key).collect::<Vec<i64>>();
                let found = store.deleted(RunKey(0), 100).await.unwrap();
                prop_assert_eq!(found.into_iter().map(|(run, _)| run.0).collect::<Vec<_>>(), deleted);
                Ok(())
            })?;
        }
    }
}
