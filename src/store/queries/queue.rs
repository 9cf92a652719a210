//! Runs that wait for a worker or for a person, those whose lease expired, and those whose place another run takes
//! (`model/queue.rs`).

use std::collections::{BTreeMap, HashMap};

use crate::model::queue::QueuedRun;
use crate::model::{RunId, Timestamp};
use crate::store::commands::{HAS_FILES, IS_PLACEABLE};
use crate::store::row::Row;
use crate::store::statement::{Query, statement};
use crate::store::transaction::ReadSnapshot;
use crate::store::{Claimant, RowError, RunKey, StoreError};

/// A run that a person was asked about, and that a worker may resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecidedRun {
    pub run: RunKey,
    pub attempt: u32,
    /// Whether it continues. Else it is only ended.
    pub goes_on: bool,
}

fn key_and_attempt(row: &dyn Row) -> Result<(RunKey, u32), RowError> {
    Ok((row.get("key")?, row.get("attempt")?))
}

/// Up to `limit` runs that the instance may claim, in the order in which they are claimed, each with its attempt. None
/// of a concurrency group that has a running one, and none that needs what the instance does not offer.
pub fn claimable(by: &Claimant, limit: u32) -> Query<'_, (RunKey, u32)> {
    statement!(
        ["SELECT key, attempt FROM runs INDEXED BY runs_pending WHERE status = 'pending' AND NOT EXISTS (
            SELECT 1 FROM runs AS other
            WHERE other.concurrency_group = runs.concurrency_group AND other.status = 'running') AND ",
            IS_PLACEABLE, " ORDER BY priority DESC, queued_at, key LIMIT $limit"];
        instance: &by.instance,
        data_folder: &by.data_folder,
        is_only: by.is_only,
        limit: limit,
    )
    .read(key_and_attempt)
}

/// How many runs wait for a worker, and the first `limit` of them in the order in which they are claimed.
///
/// # Errors
/// The database could not be read.
pub async fn page(db: &mut impl ReadSnapshot, limit: u32) -> Result<(u64, Vec<QueuedRun>), StoreError> {
    let total = statement!("SELECT count(*) AS total FROM runs WHERE status = 'pending'");
    let total = db.fetch_optional(total.read(|row| row.get("total"))).await?.unwrap_or(0);
    let first = statement!(
        "SELECT id, priority, (
            SELECT id FROM runs AS other
            WHERE other.concurrency_group = runs.concurrency_group AND other.status = 'running') AS held_by
         FROM runs INDEXED BY runs_pending WHERE status = 'pending'
         ORDER BY priority DESC, queued_at, key LIMIT $limit";
        limit: limit,
    );
    let first = first.read(|row| {
        Ok(QueuedRun {
            id: row.get("id")?,
            position: 0,
            priority: row.get("priority")?,
            held_by: row.get("held_by")?,
            waiting_for: None,
        })
    });
    let mut waiting = db.fetch_all(first).await?;
    // Runs that their group holds back delay no others.
    let mut before: HashMap<Option<RunId>, u64> = HashMap::new();
    for run in &mut waiting {
        let position = before.entry(run.held_by.clone()).or_default();
        *position += 1;
        run.position = *position;
    }
    Ok((total, waiting))
}

/// An active run of the concurrency group with this key.
pub fn active_in_group(group: &str) -> Query<'_, RunId> {
    statement!(
        "SELECT id FROM runs WHERE concurrency_group = $group AND status IN ('pending', 'running') LIMIT 1";
        group: group,
    )
    .read(|row| row.get("id"))
}

/// Active runs whose cancellation nobody has requested and whose place a later run of their group takes, each with that
/// run: the last one if there are several.
///
/// # Errors
/// The database could not be read.
pub async fn superseded(db: &mut impl ReadSnapshot) -> Result<Vec<(RunKey, RunId)>, StoreError> {
    // From the few that supersede to those before them.
    let pairs: Query<'_, (RunKey, RunId)> = statement!(
        "SELECT old.key, new.id FROM runs AS new INDEXED BY runs_superseding
         CROSS JOIN runs AS old INDEXED BY runs_group_active
         WHERE old.concurrency_group = new.concurrency_group AND old.status IN ('pending', 'running')
            AND (old.queued_at, old.key) < (new.queued_at, new.key)
            AND new.supersedes = 1 AND new.status IN ('pending', 'running') AND old.cancel_by IS NULL
         ORDER BY new.queued_at, new.key"
    )
    .read(|row| Ok((row.get("key")?, row.get("id")?)));
    let last: BTreeMap<RunKey, RunId> = db.fetch_all(pairs).await?.into_iter().collect();
    Ok(last.into_iter().collect())
}

/// Up to `limit` runs that waited for a person and were answered, or are to be cancelled, and that the instance may
/// take up: those first that only end.
pub fn decided(by: &Claimant, limit: u32) -> Query<'_, DecidedRun> {
    statement!(
        ["SELECT key, attempt, CASE WHEN gate = 'approved' AND cancel_by IS NULL THEN 1 ELSE 0 END AS goes_on FROM runs
         WHERE gate IS NOT NULL AND (gate <> 'waiting' OR cancel_by IS NOT NULL) AND ", HAS_FILES,
         " ORDER BY goes_on, key LIMIT $limit"];
        is_only: by.is_only,
        data_folder: &by.data_folder,
        limit: limit,
    )
    .read(|row| Ok(DecidedRun { run: row.get("key")?, attempt: row.get("attempt")?, goes_on: row.get("goes_on")? }))
}

/// Every run that waits for a person, or was answered and not yet resumed, each with its attempt.
pub fn awaiting_approval() -> Query<'static, (RunId, u32)> {
    statement!("SELECT id, attempt FROM runs WHERE gate IS NOT NULL")
        .read(|row| Ok((row.get("id")?, row.get("attempt")?)))
}

/// Running runs whose lease expired before `now`, each with its attempt.
pub fn expired_leases(now: Timestamp) -> Query<'static, (RunKey, u32)> {
    statement!("SELECT key, attempt FROM runs WHERE status = 'running' AND lease_until < $now"; now: now)
        .read(key_and_attempt)
}
