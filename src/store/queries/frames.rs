//! Frames of journals, in pages that are bounded in rows and in bytes. A report may be some MiB, so its size is looked
//! at before it is read.

use super::runs::ViewBounds;
use crate::model::FrameRecord;
use crate::store::row::Row;
use crate::store::statement::{Query, statement};
use crate::store::transaction::ReadSnapshot;
use crate::store::{JournalHead, RowError, RunKey, StoreError};

/// About how many bytes of frames are read at a time: what a reader that does not take them may cost.
const PAGE_BYTES: usize = 1 << 20;

/// The query of a page of a run's frames: those whose seq is `$beside_is` the seq `beside`, in this order up to
/// `max_frames`, and up to the `$end` one for which `$within` holds of the bytes so far. The sizes are in the rows'
/// headers, so that large data is not read for them.
macro_rules! page {
    ($end:literal, $beside_is:literal, $order:literal, $within:literal; $page:expr) => {
        statement!(
            [
                "SELECT seq, ts, attempt, phase, kind, data FROM frames WHERE run = $run AND seq ", $beside_is,
                " $beside AND seq ", $end, "(seq) FROM (
                    SELECT seq, size, sum(size) OVER (ORDER BY seq ", $order, " ROWS UNBOUNDED PRECEDING) AS total FROM (
                        SELECT seq, octet_length(data) AS size FROM frames WHERE run = $run AND seq ", $beside_is,
                " $beside ORDER BY seq ", $order, " LIMIT $max_frames) AS sizes) AS totals
                 WHERE ", $within, ") ORDER BY seq",
            ];
            run: $page.run,
            beside: $page.beside,
            max_frames: $page.max_frames,
            max_bytes: $page.max_bytes,
        )
        .read(read_frame)
    };
}

/// Which frames a page has.
#[derive(Clone, Copy)]
struct Page {
    run: RunKey,
    /// It begins beside this seq.
    beside: u64,
    max_frames: u32,
    max_bytes: usize,
}

impl Page {
    /// Frames after `beside`, not many more than the bytes, but at least one.
    fn after(self) -> Query<'static, FrameRecord> {
        page!("<= (SELECT max", ">", "ASC", "total - size < $max_bytes"; self)
    }

    /// Frames after `beside`, and no more than the bytes.
    fn after_within(self) -> Query<'static, FrameRecord> {
        page!("<= (SELECT max", ">", "ASC", "total <= $max_bytes"; self)
    }

    /// Frames before `beside`, and no more than the bytes.
    fn before_within(self) -> Query<'static, FrameRecord> {
        page!(">= (SELECT min", "<", "DESC", "total <= $max_bytes"; self)
    }
}

/// The head of a run's journal.
pub fn head(run: RunKey) -> Query<'static, JournalHead> {
    statement!("SELECT status, attempt, head FROM runs WHERE key = $run AND deleted_at IS NULL"; run: run)
        .read(JournalHead::read)
}

/// Frames after the seq `after`, in order, and the journal's head: up to `limit`, fewer if they are large, but at least
/// one if there is one.
///
/// # Errors
/// [`StoreError::Gone`] if the run is unknown or deleted; the database could not be read.
pub async fn after(
    db: &mut impl ReadSnapshot,
    run: RunKey,
    after: u64,
    limit: u32,
) -> Result<(Vec<FrameRecord>, JournalHead), StoreError> {
    let head = db.fetch_optional(head(run)).await?.ok_or(StoreError::Gone)?;
    let page = Page { run, beside: after, max_frames: limit, max_bytes: PAGE_BYTES };
    Ok((db.fetch_all(page.after()).await?, head))
}

/// The frames that a run's page shows first.
pub(super) async fn first_of_page(
    db: &mut impl ReadSnapshot,
    run: RunKey,
    head: u64,
    bounds: &ViewBounds,
) -> Result<Vec<FrameRecord>, StoreError> {
    let &ViewBounds { max_frames, max_bytes, at } = bounds;
    let Some(at) = at.filter(|at| (1..=head).contains(at)) else {
        return db.fetch_all(Page { run, beside: head.saturating_add(1), max_frames, max_bytes }.before_within()).await;
    };
    // More after it than before it, since one reads on from there.
    let before = Page { run, beside: at, max_frames: max_frames / 4, max_bytes: max_bytes / 4 };
    let from = Page {
        run,
        beside: at - 1,
        max_frames: max_frames - before.max_frames,
        max_bytes: max_bytes - before.max_bytes,
    };
    let mut frames = db.fetch_all(before.before_within()).await?;
    frames.extend(db.fetch_all(from.after_within()).await?);
    Ok(frames)
}

/// The seq of the frame that says that a phase has begun, for each phase of an attempt that has.
pub fn phase_starts(run: RunKey, attempt: u32) -> Query<'static, (String, u64)> {
    statement!(
        "SELECT name, first FROM phases WHERE run = $run AND attempt = $attempt AND first IS NOT NULL";
        run: run,
        attempt: attempt,
    )
    .read(|row| Ok((row.get("name")?, row.get("first")?)))
}

/// The log frames of a phase with a seq after `after`, up to `until`, and up to which seq these are all: fewer if they
/// are large. All frames in between are read through at once, so the caller keeps `until` near.
///
/// # Errors
/// The database could not be read. Of an unknown run there are none; of a deleted one there may be some left.
pub async fn phase_log(
    db: &mut impl ReadSnapshot,
    run: RunKey,
    phase: &str,
    after: u64,
    until: u64,
) -> Result<(Vec<FrameRecord>, u64), StoreError> {
    let log = statement!(
        "SELECT seq, ts, attempt, phase, kind, data FROM frames
         WHERE run = $run AND seq > $after AND seq <= $until AND kind = 'log' AND phase = $phase ORDER BY seq";
        run: run,
        after: after,
        until: until,
        phase: phase,
    );
    let mut size = 0;
    let frames = db.fetch_while(log.read(read_frame), |frame| {
        size += frame.data.len();
        size < PAGE_BYTES
    });
    let frames = frames.await?;
    let until = if size >= PAGE_BYTES { frames.last().map_or(until, |frame| frame.seq) } else { until };
    Ok((frames, until))
}

/// The rows of a run's log that were redrawn, whose first frames have a seq after `after`, up to `until`: each row's
/// seq and the frame that it is now. And up to which seq these are all: fewer if they are large.
///
/// # Errors
/// As [`phase_log`].
pub async fn redrawn_rows(
    db: &mut impl ReadSnapshot,
    run: RunKey,
    after: u64,
    until: u64,
) -> Result<(Vec<(u64, FrameRecord)>, u64), StoreError> {
    let rows = statement!(
        "SELECT redraws.row AS row, frames.seq, ts, attempt, phase, kind, data
         FROM redraws JOIN frames ON frames.run = redraws.run AND frames.seq = redraws.seq
         WHERE redraws.run = $run AND row > $after AND row <= $until ORDER BY row";
        run: run,
        after: after,
        until: until,
    );
    let mut size = 0;
    let rows = rows.read(|row| Ok((row.get("row")?, read_frame(row)?)));
    let rows = db.fetch_while(rows, |(_, frame): &(u64, FrameRecord)| {
        size += frame.data.len();
        size < PAGE_BYTES
    });
    let rows = rows.await?;
    let until = if size >= PAGE_BYTES { rows.last().map_or(until, |(row, _)| *row) } else { until };
    Ok((rows, until))
}

/// `seq`, `ts`, `attempt`, `phase`, `kind` and `data`.
fn read_frame(row: &dyn Row) -> Result<FrameRecord, RowError> {
    Ok(FrameRecord {
        seq: row.get("seq")?,
        ts: row.get("ts")?,
        attempt: row.get("attempt")?,
        phase: row.get("phase")?,
        kind: row.get("kind")?,
        data: row.get("data")?,
    })
}

/// The statements of pages, for the test of their plans.
#[cfg(test)]
pub fn statements() -> Vec<String> {
    let page = Page { run: RunKey(1), beside: 1, max_frames: 1, max_bytes: 1 };
    [page.after(), page.after_within(), page.before_within()].map(|query| query.statement.sql.into_owned()).into()
}
