//! Pages of journals, bounded in rows and in bytes. A report may be some MiB, so its size is looked at before it is
//! read: the driver reads rows ahead of the one that is asked for.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use sqlx::{Row, SqliteConnection};

use super::{classify, rows};
use crate::model::FrameRecord;
use crate::store::{StoreError, ViewPart};

fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// The end of a page in its direction: SQL that gives the last seq whose frame is still within the bytes. The sizes
/// stand in
/// the rows' headers, so that large data is not read for them. `?1` is the run, `?2` the seq that the page begins
/// beside,
/// `?3` the most rows and `?4` the most bytes.
macro_rules! page {
    ($end:literal, $beside:literal, $order:literal, $within:literal) => {
        concat!(
            "SELECT seq, ts, attempt, phase, kind, data FROM frames WHERE run = ?1 AND seq ",
            $beside,
            " ?2 AND seq ",
            $end,
            "(seq) FROM (
                SELECT seq, size, sum(size) OVER (ORDER BY seq ",
            $order,
            " ROWS UNBOUNDED PRECEDING) AS total FROM (
                    SELECT seq, octet_length(data) AS size FROM frames WHERE run = ?1 AND seq ",
            $beside,
            " ?2 ORDER BY seq ",
            $order,
            " LIMIT ?3
                )
            ) WHERE ",
            $within,
            ") ORDER BY seq"
        )
    };
}

/// Frames after a seq, not many more than the bytes, but at least one.
const AFTER: &str = page!("<= (SELECT max", ">", "ASC", "total - size < ?4");
/// Frames after a seq, and no more than the bytes.
const AFTER_WITHIN: &str = page!("<= (SELECT max", ">", "ASC", "total <= ?4");
/// Frames before a seq, and no more than the bytes.
const BEFORE_WITHIN: &str = page!(">= (SELECT min", "<", "DESC", "total <= ?4");

async fn read(
    connection: &mut SqliteConnection,
    page: &'static str,
    (key, beside): (i64, u64),
    limit: u32,
    bytes: usize,
) -> Result<Vec<FrameRecord>, StoreError> {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    let mut found = sqlx::query(page).bind(key).bind(signed(beside)).bind(limit).bind(bytes).fetch(connection);
    let mut frames = Vec::new();
    while let Some(row) = found.try_next().await.map_err(classify)? {
        frames.push(rows::record(&row).map_err(classify)?);
    }
    Ok(frames)
}

/// A page of a run's journal, as the caller's transaction sees it: up to `limit` frames, and not many more than `bytes`
/// of them, but at least one.
pub async fn frames_after(
    connection: &mut SqliteConnection,
    key: i64,
    after: u64,
    limit: u32,
    bytes: usize,
) -> Result<Vec<FrameRecord>, StoreError> {
    read(connection, AFTER, (key, after), limit, bytes).await
}

/// The frames that a run's page shows first.
pub async fn first_frames(
    connection: &mut SqliteConnection,
    key: i64,
    head: u64,
    part: &ViewPart,
) -> Result<Vec<FrameRecord>, StoreError> {
    let &ViewPart { rows, bytes, at } = part;
    let Some(at) = at.filter(|at| (1..=head).contains(at)) else {
        return read(connection, BEFORE_WITHIN, (key, head.saturating_add(1)), rows, bytes).await;
    };
    // More after it than before it, since one reads on from there.
    let (rows_before, bytes_before) = (rows / 4, bytes / 4);
    let mut frames = read(connection, BEFORE_WITHIN, (key, at), rows_before, bytes_before).await?;
    frames.extend(read(connection, AFTER_WITHIN, (key, at - 1), rows - rows_before, bytes - bytes_before).await?);
    Ok(frames)
}

/// The seq of the frame that tells the begin of each phase of an attempt, for those that have begun in it.
pub async fn phase_starts(
    connection: &mut SqliteConnection,
    key: i64,
    attempt: u32,
) -> Result<BTreeMap<String, u64>, StoreError> {
    let query = "SELECT name, first FROM phases WHERE run = ? AND attempt = ? AND first IS NOT NULL";
    let found = sqlx::query(query).bind(key).bind(attempt).fetch_all(connection).await.map_err(classify)?;
    let read = |row: &sqlx::sqlite::SqliteRow| Ok((row.try_get("name")?, rows::count(row, "first")?));
    found.iter().map(read).collect::<Result<_, _>>().map_err(classify)
}
