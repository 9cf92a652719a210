//! The run list. `updates.rs` keeps it up to date.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::calls::list_runs;
use crate::feed::ConnectionState;
use crate::feed::tabs::TabRole;
use crate::model::{Problem, Run, RunFilter, RunPage};

/// The runs in the list, each a signal of its own, so that a change renders its row alone.
#[derive(Clone, Copy)]
pub struct RunListState {
    /// The filter of the page.
    pub(super) wanted: RwSignal<RunFilter>,
    /// The filter of the runs in the list, which lags behind `wanted` until the server answers.
    pub shown: RwSignal<RunFilter>,
    /// Newest first.
    pub rows: RwSignal<Vec<ArcRwSignal<Run>>>,
    /// The cursor of the next page, if there is one.
    pub next: RwSignal<Option<String>>,
    /// The problem of the last update.
    pub problem: RwSignal<Option<Problem>>,
    /// The problem of loading older runs.
    pub load_more_problem: RwSignal<Option<Problem>>,
    /// Whether older runs are being loaded.
    pub is_loading: RwSignal<bool>,
    pub link: RwSignal<ConnectionState>,
    /// The tab's role in the connection that the tabs of this browser share.
    pub role: RwSignal<TabRole>,
    /// Requests an update at once.
    #[cfg(feature = "hydrate")]
    pub(super) ask: StoredValue<Option<Box<dyn Fn()>>, LocalStorage>,
}

impl RunListState {
    /// The runs that the server rendered. `link` follows the state of the connection.
    pub fn new(filter: RunFilter, page: RunPage, link: RwSignal<ConnectionState>) -> Self {
        Self {
            wanted: RwSignal::new(filter.clone()),
            shown: RwSignal::new(filter),
            rows: RwSignal::new(page.runs.into_iter().map(ArcRwSignal::new).collect()),
            next: RwSignal::new(page.next),
            problem: RwSignal::new(None),
            load_more_problem: RwSignal::new(None),
            is_loading: RwSignal::new(false),
            link,
            role: RwSignal::new(TabRole::Solo),
            #[cfg(feature = "hydrate")]
            ask: StoredValue::new_local(None),
        }
    }

    /// Changes the filter. The runs in the list stay until the server answers.
    pub fn set_filter(self, filter: RunFilter) {
        if self.wanted.with_untracked(|wanted| *wanted == filter) {
            return;
        }
        self.wanted.set(filter);
        #[cfg(feature = "hydrate")]
        self.ask.try_with_value(|ask| ask.iter().for_each(|ask| ask()));
    }

    /// Loads the page after the last run in the list.
    pub fn load_more(self) {
        let Some(before) = self.next.get_untracked().filter(|_| !self.is_loading.get_untracked()) else { return };
        self.is_loading.set(true);
        let shown = self.shown.get_untracked();
        let filter = RunFilter { before: Some(before), ..shown.clone() };
        spawn_local(async move {
            let answer = list_runs(filter).await;
            // The filter may have changed, or the page been left.
            if self.is_loading.try_set(false).is_some() || self.shown.with_untracked(|now| *now != shown) {
                return;
            }
            match answer {
                Ok(page) => {
                    self.load_more_problem.set(None);
                    self.next.set(page.next);
                    self.rows.update(|rows| rows.extend(page.runs.into_iter().map(ArcRwSignal::new)));
                }
                Err(problem) => self.load_more_problem.set(Some(problem)),
            }
        });
    }
}
