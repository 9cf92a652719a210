//! Runs that retention may delete, and those that are deleted and have left something.

use crate::model::{Retention, RunId, Status, Timestamp};
use crate::store::statement::{Query, statement};
use crate::store::transaction::ReadSnapshot;
use crate::store::{RunKey, StoreError};

/// A pipeline with runs that retention may delete at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionCandidate {
    pub pipeline: String,
    /// When the first of those runs ended.
    pub oldest: Timestamp,
}

/// A run that its pipeline's rule deletes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredRun {
    pub run: RunKey,
    pub id: RunId,
    pub status: Status,
    pub attempt: u32,
}

/// The pipelines, by name, that have finished runs which are not pinned. `runs_kept` indexes exactly those.
pub fn candidates() -> Query<'static, RetentionCandidate> {
    // From one name to the next in the index, not over all runs.
    statement!(
        "WITH RECURSIVE names (name) AS (
            SELECT min(pipeline) FROM runs WHERE finished_at IS NOT NULL AND pinned = 0 AND deleted_at IS NULL
            UNION ALL
            SELECT (SELECT min(pipeline) FROM runs
                WHERE finished_at IS NOT NULL AND pinned = 0 AND deleted_at IS NULL AND pipeline > name)
            FROM names WHERE name IS NOT NULL
         )
         SELECT name, (SELECT min(finished_at) FROM runs
            WHERE finished_at IS NOT NULL AND pinned = 0 AND deleted_at IS NULL AND pipeline = name) AS oldest
         FROM names WHERE name IS NOT NULL"
    )
    .read(|row| Ok(RetentionCandidate { pipeline: row.get("name")?, oldest: row.get("oldest")? }))
}

/// Up to `limit` of a pipeline's runs that the rule deletes now, the oldest first. Not those that a receiver is
/// still to be notified of.
///
/// # Errors
/// The database could not be read.
pub async fn expired(
    db: &mut impl ReadSnapshot,
    pipeline: &str,
    rule: Retention,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ExpiredRun>, StoreError> {
    // Both rules are a place in the order of ends: what ended there or before is deleted.
    let by_age = rule.age_ms.map(|age| (now.0.saturating_sub(i64::try_from(age).unwrap_or(i64::MAX)), i64::MAX));
    let by_count = match rule.count {
        None => None,
        Some(count) => db.fetch_optional(last_beyond(pipeline, count)).await?,
    };
    let Some((ended, key)) = by_age.max(by_count) else { return Ok(Vec::new()) };
    let expired = statement!(
        "SELECT key, id, status, attempt FROM runs
         WHERE finished_at IS NOT NULL AND pinned = 0 AND deleted_at IS NULL
            AND pipeline = $pipeline AND (finished_at, key) <= ($ended, $key)
            AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.run = runs.key)
         ORDER BY finished_at, key LIMIT $limit";
        pipeline: pipeline,
        ended: ended,
        key: key,
        limit: limit,
    );
    let expired = expired.read(|row| {
        Ok(ExpiredRun {
            run: row.get("key")?,
            id: row.get("id")?,
            status: row.get("status")?,
            attempt: row.get("attempt")?,
        })
    });
    db.fetch_all(expired).await
}

/// The newest run beyond the first `count`: when it ended, and its key.
fn last_beyond(pipeline: &str, count: u32) -> Query<'_, (i64, i64)> {
    statement!(
        "SELECT finished_at, key FROM runs
         WHERE finished_at IS NOT NULL AND pinned = 0 AND deleted_at IS NULL AND pipeline = $pipeline
         ORDER BY finished_at DESC, key DESC LIMIT 1 OFFSET $count";
        pipeline: pipeline,
        count: count,
    )
    .read(|row| Ok((row.get("finished_at")?, row.get("key")?)))
}

/// Up to `limit` runs that are deleted and have left something, by key, those after this one.
pub fn tombstones(after: RunKey, limit: u32) -> Query<'static, (RunKey, RunId)> {
    // SQLite takes the table in the order of its keys if it is not named an index.
    statement!(
        "SELECT key, id FROM runs INDEXED BY runs_gone
         WHERE deleted_at IS NOT NULL AND key > $after ORDER BY key LIMIT $limit";
        after: after,
        limit: limit,
    )
    .read(|row| Ok((row.get("key")?, row.get("id")?)))
}
