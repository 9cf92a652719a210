//! Keeps the list up to date without a reload.

use std::cell::RefCell;
use std::collections::HashSet;

use leptos::prelude::*;

use super::live::LiveRuns;
use crate::calls::list_runs;
use crate::model::{Problem, Run, RunFilter, RunId, RunListUpdate, RunPage};
use crate::ui::connect::{ListView, ListWatch};
use crate::ui::news;

/// The most runs that one question may ask for.
const MOST: usize = 200;

/// Begins, until the list is gone.
pub(super) fn begin(runs: LiveRuns) {
    runs.rows.with_untracked(|rows| rows.iter().for_each(|row| row.with_untracked(news::know)));
    let ask = ListWatch::begin(Watched { runs, gone: RefCell::default() }, runs.link, runs.role);
    runs.ask.set_value(Some(Box::new(ask)));
}

/// The list while it is watched.
struct Watched {
    runs: LiveRuns,
    /// Runs that were deleted meanwhile: an answer that is on its way may still have them.
    gone: RefCell<HashSet<RunId>>,
}

impl ListView for Watched {
    /// What was found, and what was asked for.
    type Answer = (RunFilter, RunPage);

    fn listed(&self, json: &str) -> bool {
        match serde_json::from_str(json) {
            Ok(RunListUpdate::Changed(run)) => self.changed(*run),
            Ok(RunListUpdate::Deleted { id, .. }) => {
                self.deleted(id);
                false
            }
            // A poll tells it.
            Err(_) => false,
        }
    }

    fn ask(&self) -> impl Future<Output = Result<Self::Answer, Problem>> + 'static {
        let wanted = self.runs.wanted.get_untracked();
        let same = self.runs.shown.with_untracked(|shown| *shown == wanted);
        let shown = self.runs.rows.with_untracked(Vec::len);
        let limit = u32::try_from(shown.clamp(50, MOST)).ok().filter(|_| same);
        let asked = list_runs(RunFilter { limit, ..wanted.clone() });
        async move { Ok((wanted, asked.await?)) }
    }

    fn show(&self, (asked, page): Self::Answer) {
        // Others are wanted by now: they have been asked for, too.
        if self.runs.wanted.with_untracked(|wanted| *wanted == asked) {
            self.merge(asked, page);
        }
    }

    fn failed(&self, problem: Problem) {
        self.runs.problem.set(Some(problem));
    }
}

impl Watched {
    /// A run is now so. One that is shown shows it at once; whether it is to be shown, and where, the server knows: whether it is to
    /// be asked.
    fn changed(&self, run: Run) -> bool {
        news::see(&run);
        let rows = self.runs.rows.get_untracked();
        let RunFilter { status, pipeline, q, .. } = self.runs.wanted.get_untracked();
        let shown = rows.iter().find(|row| row.with_untracked(|row| row.id == run.id));
        match shown {
            // An answer to a question may have overtaken it.
            Some(row) if status.is_none_or(|status| status == run.status) => {
                if row.with_untracked(|row| run.is_newer_than(row)) {
                    row.set(run);
                }
                false
            }
            None if pipeline.as_ref().is_some_and(|name| !name.is_empty() && *name != run.pipeline) => false,
            None if status.is_some_and(|status| status != run.status) => false,
            // A run of long ago, below those that are shown.
            None if q.is_none()
                && self.runs.next.with_untracked(Option::is_some)
                && rows.last().is_some_and(|last| last.with_untracked(|last| run.id < last.id)) =>
            {
                false
            }
            None | Some(_) => true,
        }
    }

    fn deleted(&self, id: RunId) {
        self.runs.rows.maybe_update(|rows| {
            let shown = rows.len();
            rows.retain(|row| row.with_untracked(|row| row.id != id));
            rows.len() < shown
        });
        self.gone.borrow_mut().insert(id);
    }

    /// Takes the newest runs; those that are shown below them stay, if they are of the same kind.
    fn merge(&self, asked: RunFilter, mut page: RunPage) {
        let runs = self.runs;
        runs.problem.set(None);
        let same = runs.shown.with_untracked(|shown| *shown == asked);
        if !same {
            // What was not shown so far is no news.
            page.runs.iter().for_each(news::know);
        }
        page.runs.retain(|run| !self.gone.borrow().contains(&run.id));
        let rows = runs.rows.get_untracked();
        let place = |run: &Run| rows.iter().position(|row| row.with_untracked(|row| row.id == run.id));
        let below = match page.runs.last() {
            Some(last) if same && page.next.is_some() => place(last).map_or(0, |place| rows.len() - place - 1),
            _ => 0,
        };
        let mut merged = Vec::with_capacity(page.runs.len() + below);
        for run in page.runs {
            news::see(&run);
            match place(&run) {
                Some(place) => {
                    let row = &rows[place];
                    // An event may have overtaken this answer.
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
            runs.no_more.set(None);
            runs.shown.set(asked);
        }
    }
}
