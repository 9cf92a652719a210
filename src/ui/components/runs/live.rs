//! The runs that are shown. What keeps them up to date without a reload is `watched.rs`.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::calls::list_runs;
use crate::feed::ConnectionState;
use crate::feed::tabs::TabRole;
use crate::model::{Problem, Run, RunFilter, RunPage};

/// The runs that are shown, each a signal of its own: what does not change is not drawn anew.
#[derive(Clone, Copy)]
pub struct LiveRuns {
    /// Which runs are wanted.
    pub(super) wanted: RwSignal<RunFilter>,
    /// Which runs are shown: others than those that are wanted until the server has answered.
    pub shown: RwSignal<RunFilter>,
    /// The runs, newest first.
    pub rows: RwSignal<Vec<ArcRwSignal<Run>>>,
    /// Where the next page begins, if there is one.
    pub next: RwSignal<Option<String>>,
    /// Why the list is not up to date.
    pub problem: RwSignal<Option<Problem>>,
    /// Why older runs could not be fetched.
    pub no_more: RwSignal<Option<Problem>>,
    /// Whether older runs are being fetched.
    pub loading: RwSignal<bool>,
    /// How the list is connected.
    pub link: RwSignal<ConnectionState>,
    /// The tab's part in the browser's one connection.
    pub role: RwSignal<TabRole>,
    /// Asks the server at once.
    #[cfg(feature = "hydrate")]
    pub(super) ask: StoredValue<Option<Box<dyn Fn()>>, LocalStorage>,
}

impl LiveRuns {
    /// What the server rendered. `link` is kept to how the list is connected.
    pub fn new(filter: RunFilter, page: RunPage, link: RwSignal<ConnectionState>) -> Self {
        Self {
            wanted: RwSignal::new(filter.clone()),
            shown: RwSignal::new(filter),
            rows: RwSignal::new(page.runs.into_iter().map(ArcRwSignal::new).collect()),
            next: RwSignal::new(page.next),
            problem: RwSignal::new(None),
            no_more: RwSignal::new(None),
            loading: RwSignal::new(false),
            link,
            role: RwSignal::new(TabRole::Solo),
            #[cfg(feature = "hydrate")]
            ask: StoredValue::new_local(None),
        }
    }

    /// Other runs are wanted. Those that are shown stay until the server has answered, however long that takes.
    pub fn want(self, filter: RunFilter) {
        if self.wanted.with_untracked(|wanted| *wanted == filter) {
            return;
        }
        self.wanted.set(filter);
        #[cfg(feature = "hydrate")]
        self.ask.try_with_value(|ask| ask.iter().for_each(|ask| ask()));
    }

    /// Fetches the page after the last run shown.
    pub fn load_more(self) {
        let Some(before) = self.next.get_untracked().filter(|_| !self.loading.get_untracked()) else { return };
        self.loading.set(true);
        let shown = self.shown.get_untracked();
        let filter = RunFilter { before: Some(before), ..shown.clone() };
        spawn_local(async move {
            let answer = list_runs(filter).await;
            // Others are shown by now, or none.
            if self.loading.try_set(false).is_some() || self.shown.with_untracked(|now| *now != shown) {
                return;
            }
            match answer {
                Ok(page) => {
                    self.no_more.set(None);
                    self.next.set(page.next);
                    self.rows.update(|rows| rows.extend(page.runs.into_iter().map(ArcRwSignal::new)));
                }
                Err(problem) => self.no_more.set(Some(problem)),
            }
        });
    }
}
