//! The runs that are shown. What keeps them up to date without a reload is `watched.rs`.

use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::activity::tabs::Role;
use crate::activity::{Connection, Link, Settings};
use crate::calls::list_runs;
use crate::model::{Problem, Run, RunFilter, RunPage};

/// The runs that are shown, each a signal of its own: what does not change is not drawn anew.
#[derive(Clone, Copy)]
pub struct LiveRuns {
    pub(super) filter: StoredValue<RunFilter>,
    /// The runs, newest first.
    pub rows: RwSignal<Vec<ArcRwSignal<Run>>>,
    /// Where the next page begins, if there is one.
    pub next: RwSignal<Option<String>>,
    /// Why the list is not up to date.
    pub problem: RwSignal<Option<Problem>>,
    /// Whether older runs are being fetched.
    pub loading: RwSignal<bool>,
    /// How the list is connected.
    pub link: RwSignal<Link>,
    /// The tab's part in the browser's one connection.
    pub role: RwSignal<Role>,
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
            link: RwSignal::new(Connection::new(Settings::default(), true).link()),
            role: RwSignal::new(Role::Solo),
        }
    }

    /// Goes live, until the list is gone.
    pub fn begin(self) {
        #[cfg(feature = "hydrate")]
        super::watched::begin(self);
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
