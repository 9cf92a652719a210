//! Findings and patches of an attempt, by the index that has nothing else.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row};

use super::rows;
use super::{SqliteStore, classify, detached};
use crate::model::kinds::{Finding, FixSafety, Patch};
use crate::model::review::{FindingFilter, ReviewCounts};
use crate::store::{Findings, PatchRow, ReviewStore, RunKey, StoreError};

/// The frames of an attempt of one kind. By name, since SQLite takes the index of all frames if it is not told
/// otherwise; the last term is that of the index. Of a deleted run there are none: it may have lost some already.
const OF_ATTEMPT: &str = "FROM frames INDEXED BY frames_review WHERE run = ?1 AND attempt = ?2 AND kind = ?3 AND kind IN ('finding', 'patch') \
     AND EXISTS (SELECT 1 FROM runs WHERE key = ?1 AND deleted_at IS NULL)";

/// How many rules or severities are told apart.
const WORDS: u32 = 500;

/// How much there is of each kind, as the caller's transaction sees it.
pub async fn review_counts(
    connection: &mut sqlx::SqliteConnection,
    run: i64,
    attempt: u32,
) -> Result<ReviewCounts, StoreError> {
    let query = "SELECT count(*) FILTER (WHERE kind = 'finding') AS findings,
                        count(*) FILTER (WHERE kind = 'patch') AS patches
                 FROM frames INDEXED BY frames_review WHERE run = ?1 AND attempt = ?2 AND kind IN ('finding', 'patch')
                     AND EXISTS (SELECT 1 FROM runs WHERE key = ?1 AND deleted_at IS NULL)";
    let row = sqlx::query(query).bind(run).bind(attempt).fetch_one(connection).await.map_err(classify)?;
    let read = || Ok(ReviewCounts { findings: rows::count(&row, "findings")?, patches: rows::count(&row, "patches")? });
    read().map_err(classify)
}

#[async_trait]
impl ReviewStore for SqliteStore {
    async fn findings(
        &self,
        run: RunKey,
        attempt: u32,
        filter: &FindingFilter,
        limit: u32,
    ) -> Result<Findings, StoreError> {
        let (reads, filter) = (self.reads.clone(), filter.clone());
        detached(async move {
            let mut tx = reads.begin().await.map_err(classify)?;
            let wanted = format!(
                r"{OF_ATTEMPT} AND (?4 = '' OR data ->> 'rule' = ?4) AND (?5 = '' OR data ->> 'severity' = ?5)
                  AND (?6 = '' OR data ->> 'path' LIKE ?6 ESCAPE '\')"
            );
            let path = if filter.path.is_empty() { String::new() } else { rows::containing(&filter.path) };
            let wanted = |what: &str, rest: &str| {
                // Safe: all parts are literals of this module.
                let query = sqlx::query(AssertSqlSafe(format!("SELECT {what} {wanted} {rest}")));
                let query = query.bind(run.0).bind(attempt).bind("finding");
                query.bind(filter.rule.clone()).bind(filter.severity.clone()).bind(path.clone())
            };
            let total = wanted("count(*) AS total", "").fetch_one(&mut *tx).await.map_err(classify)?;
            let total = rows::count(&total, "total").map_err(classify)?;
            let found = wanted("seq, data", "ORDER BY seq LIMIT ?7").bind(limit).fetch_all(&mut *tx).await;
            let read = |row| {
                let finding: Finding = rows::json(sqlx::Row::try_get(row, "data")?, "data")?;
                Ok((rows::count(row, "seq")?, finding))
            };
            let found = found.map_err(classify)?.iter().map(read).collect::<Result<_, _>>().map_err(classify)?;
            let mut words = Vec::new();
            for field in ["rule", "severity"] {
                let query = format!(
                    "SELECT data ->> '{field}' AS word, count(*) AS times {OF_ATTEMPT} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?4"
                );
                let query = sqlx::query(AssertSqlSafe(query)).bind(run.0).bind(attempt).bind("finding").bind(WORDS);
                let found = query.fetch_all(&mut *tx).await.map_err(classify)?;
                let read = |row: &sqlx::sqlite::SqliteRow| {
                    let word = row.try_get::<Option<String>, _>("word")?.unwrap_or_default();
                    Ok((word, rows::count(row, "times")?))
                };
                words.push(found.iter().map(read).collect::<Result<Vec<_>, _>>().map_err(classify)?);
            }
            let severities = words.pop().unwrap_or_default();
            Ok(Findings { found, total, rules: words.pop().unwrap_or_default(), severities })
        })
        .await
    }

    async fn review_counts(&self, run: RunKey, attempt: u32) -> Result<ReviewCounts, StoreError> {
        let reads = self.reads.clone();
        detached(async move {
            let mut connection = reads.acquire().await.map_err(classify)?;
            review_counts(&mut connection, run.0, attempt).await
        })
        .await
    }

    async fn patches(&self, run: RunKey, attempt: u32) -> Result<Vec<PatchRow>, StoreError> {
        let reads = self.reads.clone();
        detached(async move {
            let query = format!(
                "SELECT seq, data ->> 'path' AS path, CAST(coalesce(data ->> 'added', 0) AS INTEGER) AS added,
                        CAST(coalesce(data ->> 'removed', 0) AS INTEGER) AS removed,
                        data ->> 'fix' AS fix {OF_ATTEMPT} ORDER BY seq"
            );
            let query = sqlx::query(AssertSqlSafe(query)).bind(run.0).bind(attempt).bind("patch");
            let read = |row: &sqlx::sqlite::SqliteRow| {
                let (added, removed) = (rows::count(row, "added")?, rows::count(row, "removed")?);
                let fix = match row.try_get::<Option<&str>, _>("fix")? {
                    Some("review") => Some(FixSafety::Review),
                    _ => None,
                };
                Ok(PatchRow { seq: rows::count(row, "seq")?, path: row.try_get("path")?, added, removed, fix })
            };
            let found = query.fetch_all(&reads).await.map_err(classify)?;
            found.iter().map(read).collect::<Result<_, _>>().map_err(classify)
        })
        .await
    }

    async fn patch(&self, run: RunKey, seq: u64) -> Result<Option<Patch>, StoreError> {
        let reads = self.reads.clone();
        detached(async move {
            let query = "SELECT data FROM frames WHERE run = ?1 AND seq = ?2 AND kind = 'patch'
                AND EXISTS (SELECT 1 FROM runs WHERE key = ?1 AND deleted_at IS NULL)";
            let query = sqlx::query(query).bind(run.0).bind(i64::try_from(seq).unwrap_or(i64::MAX));
            let found = query.fetch_optional(&reads).await.map_err(classify)?;
            let read = |row: &sqlx::sqlite::SqliteRow| rows::json(row.try_get("data")?, "data");
            found.as_ref().map(read).transpose().map_err(classify)
        })
        .await
    }
}
