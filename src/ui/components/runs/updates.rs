//! Keeps the run list up to date.

use std::cell::RefCell;
use std::collections::HashSet;

use leptos::prelude::*;

use super::state::RunListState;
use crate::calls::list_runs;
use crate::model::{Problem, Run, RunFilter, RunId, RunListUpdate, RunPage};
use crate::ui::alerts;
use crate::ui::connect::{ListView, ListWatch};

/// The maximum number of runs per request.
const MAX_LIMIT: usize = 200;

/// Starts updates, which end when the owner is cleaned up.
pub(super) fn begin(runs: RunListState) {
    runs.rows.with_untracked(|rows| rows.iter().for_each(|row| row.with_untracked(alerts::record)));
    let ask = ListWatch::begin(ListUpdater { runs, deleted: RefCell::default() }, runs.link, runs.role);
    runs.ask.set_value(Some(Box::new(ask)));
}

struct ListUpdater {
    runs: RunListState,
    /// Runs that were deleted. A response requested earlier may still have them.
    deleted: RefCell<HashSet<RunId>>,
}

impl ListView for ListUpdater {
    /// The filter requested and the runs found.
    type Response = (RunFilter, RunPage);

    fn on_listed(&self, json: &str) -> bool {
        match serde_json::from_str(json) {
            Ok(RunListUpdate::Changed(run)) => self.apply_change(*run),
            Ok(RunListUpdate::Deleted { id, .. }) => {
                self.remove(id);
                false
            }
            // The next poll repairs the list.
            Err(_) => false,
        }
    }

    fn fetch(&self) -> impl Future<Output = Result<Self::Response, Problem>> + 'static {
        let wanted = self.runs.wanted.get_untracked();
        let same = self.runs.shown.with_untracked(|shown| *shown == wanted);
        let shown = self.runs.rows.with_untracked(Vec::len);
        let limit = u32::try_from(shown.clamp(50, MAX_LIMIT)).ok().filter(|_| same);
        let asked = list_runs(RunFilter { limit, ..wanted.clone() });
        async move { Ok((wanted, asked.await?)) }
    }

    fn show(&self, (asked, page): Self::Response) {
        // If the filter changed, a request with the new one is under way.
        if self.runs.wanted.with_untracked(|wanted| *wanted == asked) {
            self.merge(asked, page);
        }
    }

    fn on_error(&self, problem: Problem) {
        self.runs.problem.set(Some(problem));
    }
}

impl ListUpdater {
    /// Takes a changed run. A run in the list is updated at once. Returns whether the server must be asked if and
    /// where the run belongs in the list.
    fn apply_change(&self, run: Run) -> bool {
        alerts::observe(&run);
        let rows = self.runs.rows.get_untracked();
        let RunFilter { status, pipeline, q, .. } = self.runs.wanted.get_untracked();
        let shown = rows.iter().find(|row| row.with_untracked(|row| row.id == run.id));
        match shown {
            // A response may have been newer than this event.
            Some(row) if status.is_none_or(|status| status == run.status) => {
                if row.with_untracked(|row| run.is_newer_than(row)) {
                    row.set(run);
                }
                false
            }
            None if pipeline.as_ref().is_some_and(|name| !name.is_empty() && *name != run.pipeline) => false,
            None if status.is_some_and(|status| status != run.status) => false,
            // An older run, below those in the list.
            None if q.is_none()
                && self.runs.next.with_untracked(Option::is_some)
                && rows.last().is_some_and(|last| last.with_untracked(|last| run.id < last.id)) =>
            {
                false
            }
            None | Some(_) => true,
        }
    }

    fn remove(&self, id: RunId) {
        self.runs.rows.maybe_update(|rows| {
            let shown = rows.len();
            rows.retain(|row| row.with_untracked(|row| row.id != id));
            rows.len() < shown
        });
        self.deleted.borrow_mut().insert(id);
    }

    /// Merges a page of the newest runs. If the filter is unchanged, the runs below that page stay.
    fn merge(&self, asked: RunFilter, mut page: RunPage) {
        let runs = self.runs;
        runs.problem.set(None);
        let same = runs.shown.with_untracked(|shown| *shown == asked);
        if !same {
            // Runs that were not listed before are no events.
            page.runs.iter().for_each(alerts::record);
        }
        page.runs.retain(|run| !self.deleted.borrow().contains(&run.id));
        let rows = runs.rows.get_untracked();
        let place = |run: &Run| rows.iter().position(|row| row.with_untracked(|row| row.id == run.id));
        let below = match page.runs.last() {
            Some(last) if same && page.next.is_some() => place(last).map_or(0, |place| rows.len() - place - 1),
            _ => 0,
        };
        let mut merged = Vec::with_capacity(page.runs.len() + below);
        for run in page.runs {
            alerts::observe(&run);
            match place(&run) {
                Some(place) => {
                    let row = &rows[place];
                    // An event may have been newer than this response.
                    if row.with_untracked(|row| run.is_newer_than(row)) {
                        row.set(run);
                    }
                    merged.push(row.clone());
                }
                None => merged.push(ArcRwSignal::new(run)),
            }
        }
        merged.extend_from_slice(&rows[rows.len() - below..]);
        if below == 0 {
            runs.next.set(page.next);
        }
        let ids = |rows: &[ArcRwSignal<Run>]| {
            rows.iter().map(|row| row.with_untracked(|run| run.id.clone())).collect::<Vec<_>>()
        };
        if ids(&merged) != ids(&rows) {
            runs.rows.set(merged);
        }
        if !same {
            runs.load_more_problem.set(None);
            runs.shown.set(asked);
        }
    }
}
