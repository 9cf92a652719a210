use super::WriteOutcome;
use crate::store::statement::{Query, Statement, statement};
use crate::store::transaction::Transaction;
use crate::store::{RunKey, StoreError};

/// The most frames that one step deletes.
pub(in crate::store) const MAX_FRAMES: u32 = 512;

/// About how many bytes of frames one step deletes: a patch may have four million, in pages of their own.
pub(in crate::store) const MAX_BYTES: u64 = 1 << 20;

/// The most attempts that one step deletes, each with its phases.
pub(in crate::store) const MAX_ATTEMPTS: i64 = 32;

/// Removes a small part of the data of deleted runs. A step takes a few milliseconds, since all other
/// writes wait meanwhile.
///
/// Called by the retention task, until nothing is left. Refused if the run is not deleted, or is gone altogether.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurgeStep {
    /// The next of a deleted run's frames and attempts.
    Frames(RunKey),
    /// The tombstone of a deleted run that has neither frames nor folders left.
    Row(RunKey),
    /// Returns empty pages to the file system, except some for the next writes.
    VacuumPages,
}

impl PurgeStep {
    pub(in crate::store) async fn apply(self, tx: &mut impl Transaction) -> Result<WriteOutcome, StoreError> {
        Ok(match self {
            Self::Frames(run) if tx.fetch_optional(tombstone(run)).await?.is_none() => WriteOutcome::Refused,
            Self::Frames(run) => {
                let more = delete_frames(run, tx).await? || delete_attempts(run, tx).await?;
                WriteOutcome::Purged { more }
            }
            Self::Row(run) => {
                if tx.fetch_optional(tombstone(run)).await?.is_none() {
                    return Ok(WriteOutcome::Refused);
                }
                tx.execute(statement!("DELETE FROM run_secrets WHERE run = $run"; run: run)).await?;
                // The database itself refuses this if a frame is left.
                let delete = statement!("DELETE FROM runs WHERE key = $run AND deleted_at IS NOT NULL"; run: run);
                match tx.execute(delete).await? {
                    0 => WriteOutcome::Refused,
                    _ => WriteOutcome::Purged { more: false },
                }
            }
            Self::VacuumPages => WriteOutcome::Purged { more: tx.vacuum_pages().await? },
        })
    }
}

/// Whether the run is deleted and its row is left.
fn tombstone(run: RunKey) -> Query<'static, ()> {
    statement!("SELECT 1 FROM runs WHERE key = $run AND deleted_at IS NOT NULL"; run: run).exists()
}

/// Deletes the run's first frames. Returns whether there were any.
async fn delete_frames(run: RunKey, tx: &mut impl Transaction) -> Result<bool, StoreError> {
    // The length in bytes is known without reading the text.
    let next = statement!(
        "SELECT seq, octet_length(data) AS bytes FROM frames WHERE run = $run ORDER BY seq LIMIT $most";
        run: run,
        most: MAX_FRAMES,
    );
    let mut total = 0;
    let next = next.read(|row| Ok((row.get::<u64>("seq")?, row.get::<u64>("bytes")?)));
    let sizes = tx.fetch_while(next, |(_, bytes)| {
        total += *bytes;
        total < MAX_BYTES
    });
    let Some((last, _)) = sizes.await?.pop() else { return Ok(false) };
    tx.execute(statement!("DELETE FROM frames WHERE run = $run AND seq <= $last"; run: run, last: last)).await?;
    tx.execute(statement!("DELETE FROM redraws WHERE run = $run AND row <= $last"; run: run, last: last)).await?;
    Ok(true)
}

/// Deletes the run's first attempts, with their phases. Returns whether there were any.
async fn delete_attempts(run: RunKey, tx: &mut impl Transaction) -> Result<bool, StoreError> {
    let first = statement!("SELECT min(attempt) AS first FROM attempts WHERE run = $run"; run: run);
    let first = tx.fetch_optional(first.read(|row| row.get::<Option<i64>>("first"))).await?;
    let Some(first) = first.flatten() else { return Ok(false) };
    for statement in attempts_before(run, first + MAX_ATTEMPTS) {
        tx.execute(statement).await?;
    }
    Ok(true)
}

fn attempts_before(run: RunKey, attempt: i64) -> [Statement<'static>; 2] {
    [
        statement!("DELETE FROM phases WHERE run = $run AND attempt < $attempt"; run: run, attempt: attempt),
        statement!("DELETE FROM attempts WHERE run = $run AND attempt < $attempt"; run: run, attempt: attempt),
    ]
}
