//! The list of workers, and what pending runs wait for.

use std::collections::BTreeMap;

use super::LIST_LOST_MS;
use crate::model::workers::{ShortageView, WorkerList, WorkerRun, WorkerState, WorkerView};
use crate::model::{Problem, Timestamp};
use crate::runs::{Backend, instances, is_this, shortages};
use crate::store::{ExecutedRun, StoredInstance};

/// All instances that are alive, or were lost lately, with the runs that they execute.
///
/// # Errors
/// The database's errors.
pub async fn workers(backend: &Backend) -> Result<WorkerList, Problem> {
    let now = backend.store.now();
    let mut executed: BTreeMap<String, Vec<WorkerRun>> = BTreeMap::new();
    for ExecutedRun { id, pipeline, owner } in backend.store.executed_runs().await? {
        executed.entry(owner).or_default().push(WorkerRun { id, pipeline });
    }
    let listed = instances(backend).await?.into_iter().filter(|known| is_listed(backend, known, now));
    let workers = listed.map(|known| {
        let runs = executed.remove(&known.instance.owner).unwrap_or_default();
        view(backend, known, runs, now)
    });
    let workers = workers.collect();
    let mut by_message: BTreeMap<String, ShortageView> = BTreeMap::new();
    for shortage in shortages(backend).await?.into_values() {
        let first = ShortageView { message: shortage.message.clone(), since: shortage.since, runs: 0 };
        let view = by_message.entry(shortage.message).or_insert(first);
        view.since = view.since.min(shortage.since);
        view.runs += 1;
    }
    Ok(WorkerList { workers, shortages: by_message.into_values().collect() })
}

fn is_listed(backend: &Backend, known: &StoredInstance, now: Timestamp) -> bool {
    is_this(backend, known) || known.ended_at.is_none() && now.0 - known.seen_at.0 < LIST_LOST_MS
}

fn view(backend: &Backend, known: StoredInstance, runs: Vec<WorkerRun>, now: Timestamp) -> WorkerView {
    let is_this = is_this(backend, &known);
    let draining_since = if is_this { backend.engine.draining_since() } else { known.draining_at };
    let state = match draining_since {
        _ if !is_this && known.lost_at <= now => WorkerState::Lost,
        Some(_) => WorkerState::Draining,
        None => WorkerState::Live,
    };
    let slots = known.instance.slots;
    let busy = u32::try_from(runs.len()).unwrap_or(u32::MAX);
    WorkerView {
        id: known.instance.id,
        name: known.instance.name,
        version: known.instance.version,
        role: known.instance.role,
        state,
        labels: known.instance.labels,
        projects: known.instance.projects,
        slots,
        busy,
        free: if state == WorkerState::Live { slots.saturating_sub(busy) } else { 0 },
        started_at: known.instance.started_at,
        last_seen_at: if is_this { now } else { known.seen_at },
        draining_since,
        runs,
        is_this,
    }
}
