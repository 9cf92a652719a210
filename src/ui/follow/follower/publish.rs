//! Lets the views of a run know what its journal has now.

use leptos::prelude::*;

use crate::feed::rows::NEAR_ROWS;
use crate::ui::follow::live_run::LiveRun;

/// Drops frames far from the visible rows, then sets the signals of whatever has changed. `revision` is that of the
/// last call.
pub(super) fn publish(live: LiveRun, revision: &mut u64) {
    let visible = live.visible_rows.try_get_value().unwrap_or_default();
    let kept = visible.start.saturating_sub(NEAR_ROWS)..visible.end.saturating_add(NEAR_ROWS);
    let changed = live.journal.try_update_value(|journal| {
        journal.trim(&kept);
        let stats = journal.stats();
        let before = std::mem::replace(revision, journal.windows().revision());
        let has_changed = before != *revision || live.stats.try_get_untracked() != Some(stats);
        let has_new_state = live.state.try_with_untracked(|state| state != journal.state()).unwrap_or(false);
        has_changed.then(|| (stats, has_new_state.then(|| journal.state().clone())))
    });
    let Some((stats, state)) = changed.flatten() else { return };
    if let Some(state) = state {
        live.state.try_set(state);
    }
    if live.stats.try_get_untracked() != Some(stats) {
        live.stats.try_set(stats);
    }
    live.version.try_update(|version| *version += 1);
}
