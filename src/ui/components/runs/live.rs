//! Keeps the list up to date without a reload: asks again every second while something happens and somebody looks.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::browser::{self, PageEvent, PageEvents, Timer};
use crate::calls::list_runs;
use crate::model::{Problem, Run, RunFilter, RunPage};
use crate::ui::slot::Slot;

/// Between two looks while a run is active, in milliseconds.
const BUSY: u64 = 1000;
/// The most runs that one question may ask for.
const MOST: usize = 200;

/// The runs that are shown, each a signal of its own: what does not change is not drawn anew.
#[derive(Clone, Copy)]
pub struct LiveRuns {
    filter: StoredValue<RunFilter>,
    /// The runs, newest first.
    pub rows: RwSignal<Vec<ArcRwSignal<Run>>>,
    /// Where the next page begins, if there is one.
    pub next: RwSignal<Option<String>>,
    /// Why the list is not up to date.
    pub problem: RwSignal<Option<Problem>>,
    /// Whether older runs are being fetched.
    pub loading: RwSignal<bool>,
    asking: StoredValue<bool>,
    timer: Slot<Timer>,
}

impl LiveRuns {
    /// What the server rendered.
    pub fn new(filter: RunFilter, page: RunPage) -> Self {
        Self {
            filter: StoredValue::new(filter),
            rows: RwSignal::new(page.runs.into_iter().map(ArcRwSignal::new).collect()),
            next: RwSignal::new(page.next),
            problem: RwSignal::new(None),
            loading: RwSignal::new(false),
            asking: StoredValue::new(false),
            timer: Slot::new(),
        }
    }

    /// Starts looking, until the list is gone.
    pub fn begin(self) {
        let listening = PageEvents::listen(move |event| {
            if event == PageEvent::Visible {
                self.refresh();
            }
        });
        StoredValue::new_local(listening);
        self.wait();
    }

    fn wait(self) {
        let active = self
            .rows
            .try_with_untracked(|rows| rows.iter().any(|run| run.with_untracked(|run| run.status.is_active())));
        let Some(active) = active else { return };
        let poll = browser::root_data("data-poll-ms").and_then(|text| text.parse().ok()).unwrap_or(3000);
        let wait = if active { BUSY.min(poll) } else { poll };
        self.timer.keep(Timer::after(wait, move || {
            if browser::is_visible() {
                self.refresh();
            } else {
                self.wait();
            }
        }));
    }

    /// Looks now.
    pub fn refresh(self) {
        if self.asking.try_get_value() != Some(false) {
            return;
        }
        self.asking.set_value(true);
        let shown = self.rows.with_untracked(Vec::len);
        let limit = u32::try_from(shown.clamp(50, MOST)).ok();
        let filter = RunFilter { limit, ..self.filter.get_value() };
        spawn_local(async move {
            let answer = list_runs(filter).await;
            if self.asking.try_set_value(false).is_some() {
                return;
            }
            match answer {
                Ok(page) => self.merge(page),
                Err(problem) => self.problem.set(Some(problem)),
            }
            self.wait();
        });
    }

    /// Takes the newest runs; those that are shown below them stay.
    fn merge(self, page: RunPage) {
        self.problem.set(None);
        let rows = self.rows.get_untracked();
        let place = |run: &Run| rows.iter().position(|row| row.with_untracked(|row| row.id == run.id));
        let below = match page.runs.last() {
            Some(last) if page.next.is_some() => place(last).map_or(0, |place| rows.len() - place - 1),
            _ => 0,
        };
        let mut merged = Vec::with_capacity(page.runs.len() + below);
        for run in page.runs {
            match place(&run) {
                Some(place) => {
                    let row = &rows[place];
                    if row.with_untracked(|row| *row != run) {
                        row.set(run);
                    }
                    merged.push(row.clone());
                }
                None => merged.push(ArcRwSignal::new(run)),
            }
        }
        merged.extend_from_slice(&rows[rows.len() - below..]);
        if below == 0 {
            self.next.set(page.next);
        }
        let ids = |rows: &[ArcRwSignal<Run>]| {
            rows.iter().map(|row| row.with_untracked(|run| run.id.clone())).collect::<Vec<_>>()
        };
        if ids(&merged) != ids(&rows) {
            self.rows.set(merged);
        }
    }

    /// Fetches the page after the last run shown.
    pub fn load_more(self) {
        let Some(before) = self.next.get_untracked().filter(|_| !self.loading.get_untracked()) else { return };
        self.loading.set(true);
        let filter = RunFilter { before: Some(before), ..self.filter.get_value() };
        spawn_local(async move {
            let answer = list_runs(filter).await;
            if self.loading.try_set(false).is_some() {
                return;
            }
            match answer {
                Ok(page) => {
                    self.next.set(page.next);
                    self.rows.update(|rows| rows.extend(page.runs.into_iter().map(ArcRwSignal::new)));
                }
                Err(problem) => self.problem.set(Some(problem)),
            }
        });
    }
}
