//! Which workers there are, and what pending runs wait for that none of them has.

use std::collections::BTreeMap;

use super::Backend;
use crate::model::placement::{Need, PlacementWorker, Shortage, shortage};
use crate::model::{Problem, RunId, Timestamp};
use crate::store::StoredInstance;

/// How long a worker may take to look for the folders of a new run: no shortage of folders is reported before.
const FOLDER_CHECK_MS: i64 = 5_000;

/// Pending runs that no live worker can take, with what is missing.
///
/// # Errors
/// The database's errors.
pub async fn shortages(backend: &Backend) -> Result<BTreeMap<RunId, Shortage>, Problem> {
    let pending = backend.store.pending_runs().await?;
    if pending.is_empty() {
        return Ok(BTreeMap::new());
    }
    let now = backend.store.now();
    let workers: Vec<PlacementWorker> =
        instances(backend).await?.iter().map(|known| placement_worker(backend, known, now)).collect();
    let found = pending.iter().filter_map(|run| {
        let checks_folders = !backend.store.is_exclusive() && now.0 - run.queued_at.0 >= FOLDER_CHECK_MS;
        Some((run.id.clone(), shortage(run, &workers, checks_folders)?))
    });
    Ok(found.collect())
}

/// All instances that are not forgotten. This one is among them even before its first heartbeat.
///
/// # Errors
/// The database's errors.
pub async fn instances(backend: &Backend) -> Result<Vec<StoredInstance>, Problem> {
    let mut instances = backend.store.instances().await?;
    if !instances.iter().any(|known| is_this(backend, known)) {
        let now = Timestamp::wall();
        let labels = backend.instance.labels.iter().map(|label| Need::Label(label.as_str().to_owned()));
        instances.push(StoredInstance {
            instance: (*backend.instance).clone(),
            seen_at: now,
            lost_at: now,
            draining_at: None,
            ended_at: None,
            offers: labels.collect(),
        });
    }
    Ok(instances)
}

/// Whether it is the instance that asks.
pub fn is_this(backend: &Backend, known: &StoredInstance) -> bool {
    known.instance.id == backend.instance.id
}

/// Since when an instance takes no runs: it is draining, has ended, or is lost. `None` if it takes runs.
pub fn unavailable_since(backend: &Backend, known: &StoredInstance, now: Timestamp) -> Option<Timestamp> {
    if is_this(backend, known) {
        return backend.engine.draining_since();
    }
    let lost_at = (known.lost_at <= now).then_some(known.seen_at);
    [known.draining_at, known.ended_at, lost_at].into_iter().flatten().min()
}

fn placement_worker(backend: &Backend, known: &StoredInstance, now: Timestamp) -> PlacementWorker {
    let mut offers = known.offers.clone();
    offers.insert(Need::Files(known.instance.data_folder.clone()));
    PlacementWorker { offers, slots: known.instance.slots, unavailable_since: unavailable_since(backend, known, now) }
}
