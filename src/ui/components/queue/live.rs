//! The queue, loaded again whenever a run enters or leaves it.

use leptos::prelude::*;

use crate::model::RunId;
use crate::model::queue::{Queue, QueuedRun};
#[cfg(feature = "hydrate")]
use crate::{
    browser::{Timer, is_visible},
    calls::read_queue,
    feed::tabs::TabRole,
    feed::{FeedIntervals, PageConnection},
    model::{Problem, Run, Status},
    ui::connect::{ListView, ListWatch},
};

/// How often a queue that is not empty is loaded again, although no run has changed.
#[cfg(feature = "hydrate")]
const WORKER_REFRESH_MS: u64 = 5000;

#[derive(Clone, Copy)]
pub struct LiveQueue {
    queue: RwSignal<Queue>,
}

impl LiveQueue {
    /// An empty queue, until it is loaded.
    pub fn new() -> Self {
        Self { queue: RwSignal::default() }
    }

    /// Keeps the queue up to date until the owner is cleaned up.
    pub fn begin(self) {
        #[cfg(feature = "hydrate")]
        {
            // The page shows the state of its connection elsewhere.
            let fetch = ListWatch::begin(
                self,
                RwSignal::new(PageConnection::new(FeedIntervals::default(), true).state()),
                RwSignal::new(TabRole::Solo),
            );
            // Workers come and go without a change of any run.
            let timer = Timer::every(WORKER_REFRESH_MS, move || {
                if is_visible() && self.queue.try_with_untracked(|queue| !queue.waiting.is_empty()) == Some(true) {
                    fetch();
                }
            });
            StoredValue::new_local(timer);
        }
    }

    /// The entry of a run, if it is queued. Tracked.
    pub fn entry(&self, run: &RunId) -> Option<QueuedRun> {
        self.queue.with(|queue| queue.waiting.iter().find(|waiting| waiting.id == *run).cloned())
    }
}

#[cfg(feature = "hydrate")]
impl ListView for LiveQueue {
    type Response = Queue;

    fn on_listed(&self, json: &str) -> bool {
        let knows = |run: &Run| self.queue.with_untracked(|queue| queue.waiting.iter().any(|known| known.id == run.id));
        serde_json::from_str(json).is_ok_and(|run: Run| run.status == Status::Pending || knows(&run))
    }

    fn fetch(&self) -> impl Future<Output = Result<Queue, Problem>> + 'static {
        read_queue()
    }

    fn show(&self, now: Queue) {
        if self.queue.with_untracked(|known| *known != now) {
            self.queue.set(now);
        }
    }

    fn on_error(&self, _: Problem) {}
}
