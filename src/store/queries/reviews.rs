//! Findings and patches of an attempt. They are frames; an index has nothing else.

use super::containing;
use crate::model::kinds::{Finding, FixSafety, Patch};
use crate::model::review::{FindingFilter, ReviewCounts};
use crate::store::statement::{Query, Statement, statement};
use crate::store::transaction::ReadSnapshot;
use crate::store::{RunKey, StoreError};

/// Frames of an attempt of one kind. Of a deleted run there are none: it may have lost some already. SQLite takes the
/// index of all frames if it is not named another one; the last term is that of the index.
const OF_ATTEMPT: &str = " FROM frames INDEXED BY frames_review
     WHERE run = $run AND attempt = $attempt AND kind = $kind AND kind IN ('finding', 'patch')
        AND EXISTS (SELECT 1 FROM runs WHERE key = $run AND deleted_at IS NULL)";

/// What a filter wants of them.
const FILTER: &str = r" AND ($rule = '' OR data ->> 'rule' = $rule) AND ($severity = '' OR data ->> 'severity' = $severity)
        AND ($path = '' OR data ->> 'path' LIKE $path ESCAPE '\')";

/// How many different rules or severities are listed.
const MAX_WORDS: u32 = 500;

/// Findings of an attempt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredFindings {
    /// Those that the filter wants, up to the limit, each with its seq.
    pub findings: Vec<(u64, Finding)>,
    /// How many the filter wants.
    pub total: u64,
    /// Every rule with the number of its findings, the most frequent first.
    pub rules: Vec<(String, u64)>,
    /// The same of severities.
    pub severities: Vec<(String, u64)>,
}

/// A patch without its diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchSummary {
    /// The seq of its frame.
    pub seq: u64,
    /// The file, relative to the project.
    pub path: String,
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
    /// `review` if one of its fixes needs a review.
    pub fix: Option<FixSafety>,
}

/// How many findings and patches an attempt has.
pub fn review_counts(run: RunKey, attempt: u32) -> Query<'static, ReviewCounts> {
    statement!(
        "SELECT count(*) FILTER (WHERE kind = 'finding') AS findings, count(*) FILTER (WHERE kind = 'patch') AS patches
         FROM frames INDEXED BY frames_review WHERE run = $run AND attempt = $attempt AND kind IN ('finding', 'patch')
            AND EXISTS (SELECT 1 FROM runs WHERE key = $run AND deleted_at IS NULL)";
        run: run,
        attempt: attempt,
    )
    .read(|row| Ok(ReviewCounts { findings: row.get("findings")?, patches: row.get("patches")? }))
}

/// Up to `limit` findings of an attempt.
///
/// # Errors
/// The database could not be read. An unknown or deleted run has none.
pub async fn findings(
    db: &mut impl ReadSnapshot,
    run: RunKey,
    attempt: u32,
    filter: &FindingFilter,
    limit: u32,
) -> Result<StoredFindings, StoreError> {
    let path = if filter.path.is_empty() { String::new() } else { containing(&filter.path) };
    let total = statement!(
        ["SELECT count(*) AS total", OF_ATTEMPT, FILTER];
        run: run, attempt: attempt, kind: "finding",
        rule: &filter.rule, severity: &filter.severity, path: &path,
    );
    let page = statement!(
        ["SELECT seq, data", OF_ATTEMPT, FILTER, " ORDER BY seq LIMIT $limit"];
        run: run, attempt: attempt, kind: "finding",
        rule: &filter.rule, severity: &filter.severity, path: &path, limit: limit,
    );
    let rules = statement!(
        ["SELECT data ->> 'rule' AS word, count(*) AS times", OF_ATTEMPT, " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $most"];
        run: run, attempt: attempt, kind: "finding", most: MAX_WORDS,
    );
    let severities = statement!(
        ["SELECT data ->> 'severity' AS word, count(*) AS times", OF_ATTEMPT, " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $most"];
        run: run, attempt: attempt, kind: "finding", most: MAX_WORDS,
    );
    Ok(StoredFindings {
        total: db.fetch_optional(total.read(|row| row.get("total"))).await?.unwrap_or(0),
        findings: db.fetch_all(page.read(|row| Ok((row.get("seq")?, row.json("data")?)))).await?,
        rules: db.fetch_all(words(rules)).await?,
        severities: db.fetch_all(words(severities)).await?,
    })
}

/// Words and how often each occurs.
fn words(statement: Statement<'_>) -> Query<'_, (String, u64)> {
    statement.read(|row| Ok((row.get::<Option<String>>("word")?.unwrap_or_default(), row.get("times")?)))
}

/// The patches of an attempt, in order, without their diffs.
pub fn patches(run: RunKey, attempt: u32) -> Query<'static, PatchSummary> {
    statement!(
        ["SELECT seq, data ->> 'path' AS path, CAST(data ->> 'added' AS TEXT) AS added,
            CAST(data ->> 'removed' AS TEXT) AS removed, data ->> 'fix' AS fix", OF_ATTEMPT,
         " ORDER BY seq"];
        run: run, attempt: attempt, kind: "patch",
    )
    .read(|row| {
        Ok(PatchSummary {
            seq: row.get("seq")?,
            path: row.get("path")?,
            added: count(row.text("added")?),
            removed: count(row.text("removed")?),
            fix: (row.text("fix")? == Some("review")).then_some(FixSafety::Review),
        })
    })
}

/// A count as a command has reported it: it may be no number, or one that no database has.
fn count(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The patch of this seq, if that frame is one.
pub fn patch(run: RunKey, seq: u64) -> Query<'static, Patch> {
    statement!(
        "SELECT data FROM frames WHERE run = $run AND seq = $seq AND kind = 'patch'
            AND EXISTS (SELECT 1 FROM runs WHERE key = $run AND deleted_at IS NULL)";
        run: run,
        seq: seq,
    )
    .read(|row| row.json("data"))
}
