//! What every page warns of: paused schedules, skipped due times, refused deliveries.

use std::collections::BTreeMap;

use super::named::NamedSchedule;
use crate::model::trigger::{PauseSummary, RecentSkips, SchedulePause, SkipKind, SkippedDueTimes, TriggerAlerts};
use crate::model::{Problem, Timestamp};
use crate::runs::Backend;
use crate::store::{ScheduleScope, ScheduleState};

/// How long pages show a refused delivery or a skipped due time: a day.
const ALERT_PERIOD_MS: i64 = 24 * 60 * 60 * 1000;

/// Pauses, and what was skipped or refused during the last day.
///
/// # Errors
/// The database's errors.
pub async fn trigger_alerts(backend: &Backend) -> Result<TriggerAlerts, Problem> {
    let since = Timestamp(Timestamp::now().0 - ALERT_PERIOD_MS);
    let refused = backend.store.refused_hook_deliveries(since).await?;
    let (pauses, states) = (backend.store.pauses().await?, backend.store.schedule_states().await?);
    let all = NamedSchedule::all(backend);
    let skipped = recent_skips(&all, &states, since);
    let mut paused: Vec<SchedulePause> = all.iter().filter_map(|named| named.pause(&pauses)).collect();
    let count = paused.len() as u64;
    paused.extend(pauses.get(&ScheduleScope::All).cloned());
    paused.sort_by_key(|pause| pause.at);
    let paused = paused.first().map(|first| PauseSummary {
        count,
        of: all.len() as u64,
        first: first.clone(),
        differs: paused.iter().any(|other| (&other.by, &other.reason) != (&first.by, &first.reason)),
    });
    Ok(TriggerAlerts { paused, refused, skipped })
}

/// The schedules that skipped due times since then for another reason than a pause.
fn recent_skips(
    all: &[NamedSchedule],
    states: &BTreeMap<(String, String), ScheduleState>,
    since: Timestamp,
) -> Option<RecentSkips> {
    let skipped = |named: &NamedSchedule| {
        let skipped = named.state(states)?.skipped.clone()?;
        Some(skipped).filter(|skipped| skipped.last >= since && skipped.kind != SkipKind::Paused)
    };
    let found: Vec<(&NamedSchedule, SkippedDueTimes)> =
        all.iter().filter_map(|named| Some((named, skipped(named)?))).collect();
    let schedules = found.len() as u64;
    let (named, skipped) = found.into_iter().max_by_key(|(_, skipped)| skipped.last)?;
    Some(RecentSkips { schedules, pipeline: named.pipeline.name.clone(), name: named.name.clone(), skipped })
}
