//! The programs that share the database, what they offer, and the pending runs that need something.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::placement::{Need, PendingRun};
use crate::model::workers::{InstanceRole, NewInstance};
use crate::model::{RunId, Timestamp};
use crate::store::row::Row;
use crate::store::statement::{Query, statement};
use crate::store::transaction::ReadSnapshot;
use crate::store::{RowError, StoreError};

/// The most pending runs that are looked at for what they need.
const MAX_PENDING: u32 = 1000;

/// The most folders that an instance looks for at once.
const MAX_FOLDERS: u32 = 200;

/// An instance as it last wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredInstance {
    pub instance: NewInstance,
    pub seen_at: Timestamp,
    pub lost_at: Timestamp,
    pub draining_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Its labels, and the folders that it has of those that runs need.
    pub offers: BTreeSet<Need>,
}

/// A run that an instance executes.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutedRun {
    pub id: RunId,
    pub pipeline: String,
    /// [`NewInstance::owner`] of the instance.
    pub owner: String,
}

/// All instances that are not forgotten, with what they offer, by name.
///
/// # Errors
/// The database could not be read.
pub async fn all(db: &mut impl ReadSnapshot) -> Result<Vec<StoredInstance>, StoreError> {
    let offers = statement!("SELECT instance, kind, value FROM instance_offers");
    let offers = offers.read(|row| Ok((row.get::<String>("instance")?, read_need(row)?)));
    let mut by_instance: BTreeMap<String, BTreeSet<Need>> = BTreeMap::new();
    for (instance, need) in db.fetch_all(offers).await? {
        by_instance.entry(instance).or_default().extend(need);
    }
    let rows = statement!("SELECT * FROM instances ORDER BY name, started_at, id").read(read_instance);
    let mut instances = db.fetch_all(rows).await?;
    for stored in &mut instances {
        stored.offers = by_instance.remove(&stored.instance.id).unwrap_or_default();
    }
    Ok(instances)
}

/// The runs that instances execute.
pub fn executed_runs() -> Query<'static, ExecutedRun> {
    statement!(
        "SELECT id, pipeline, lease_owner FROM runs INDEXED BY runs_running
         WHERE status = 'running' AND lease_owner IS NOT NULL ORDER BY started_at, key"
    )
    .read(|row| Ok(ExecutedRun { id: row.get("id")?, pipeline: row.get("pipeline")?, owner: row.get("lease_owner")? }))
}

/// The first pending runs in the order in which they are claimed, with what they need; and runs that were approved and
/// not yet taken up, which need their files.
///
/// # Errors
/// The database could not be read.
pub async fn pending_runs(db: &mut impl ReadSnapshot) -> Result<Vec<PendingRun>, StoreError> {
    let runs = statement!(
        "SELECT key, id, queued_at FROM runs INDEXED BY runs_pending WHERE status = 'pending'
         ORDER BY priority DESC, queued_at, key LIMIT $limit";
        limit: MAX_PENDING,
    );
    let runs = runs.read(|row| Ok((row.get::<i64>("key")?, row.get("id")?, row.get("queued_at")?)));
    let needs = statement!(
        "SELECT need.run, need.kind, need.value FROM runs INDEXED BY runs_pending
         JOIN run_needs AS need ON need.run = runs.key WHERE runs.status = 'pending'"
    );
    let needs = needs.read(|row| Ok((row.get::<i64>("run")?, read_need(row)?)));
    let mut by_run: BTreeMap<i64, BTreeSet<Need>> = BTreeMap::new();
    for (run, need) in db.fetch_all(needs).await? {
        by_run.entry(run).or_default().extend(need);
    }
    let approved = statement!(
        "SELECT id, queued_at, data_folder FROM runs
         WHERE gate IS NOT NULL AND gate = 'approved' AND cancel_by IS NULL AND data_folder IS NOT NULL"
    );
    let approved = approved.read(|row| {
        let needs = BTreeSet::from([Need::Files(row.get("data_folder")?)]);
        Ok(PendingRun { id: row.get("id")?, queued_at: row.get("queued_at")?, needs })
    });
    let approved = db.fetch_all(approved).await?;
    let runs = db.fetch_all(runs).await?.into_iter();
    let pending = runs.map(|(key, id, queued_at)| {
        let needs = by_run.remove(&key).unwrap_or_default();
        PendingRun { id, queued_at, needs }
    });
    Ok(pending.chain(approved).collect())
}

/// Folders that pending runs need.
pub fn needed_folders() -> Query<'static, String> {
    statement!(
        "SELECT DISTINCT need.value FROM runs INDEXED BY runs_pending
         JOIN run_needs AS need ON need.run = runs.key AND need.kind = 'folder' WHERE runs.status = 'pending'
         LIMIT $limit";
        limit: MAX_FOLDERS,
    )
    .read(|row| row.get("value"))
}

/// `None` for a kind of a later version.
fn read_need(row: &dyn Row) -> Result<Option<Need>, RowError> {
    let kind: String = row.get("kind")?;
    Ok(Need::from_columns(&kind, row.get("value")?))
}

fn read_instance(row: &dyn Row) -> Result<StoredInstance, RowError> {
    Ok(StoredInstance {
        instance: NewInstance {
            id: row.get("id")?,
            owner: row.get("owner")?,
            name: row.get("name")?,
            version: row.get("version")?,
            role: row.word("role", InstanceRole::parse)?,
            data_folder: row.get("data_folder")?,
            labels: row.json("labels")?,
            projects: row.json("roots")?,
            slots: row.get("slots")?,
            started_at: row.get("started_at")?,
        },
        seen_at: row.get("seen_at")?,
        lost_at: row.get("lost_at")?,
        draining_at: row.get("draining_at")?,
        ended_at: row.get("ended_at")?,
        offers: BTreeSet::new(),
    })
}
