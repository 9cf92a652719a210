//! The queue as the page knows it, looked at again whenever a run comes into it or leaves it.

use leptos::prelude::*;

use crate::model::RunId;
use crate::model::queue::{Queue, QueuedRun};
#[cfg(feature = "hydrate")]
use crate::{
    calls::read_queue,
    feed::tabs::Role,
    feed::{Connection, Settings},
    model::{Problem, Run, Status},
    ui::connect::{ListView, ListWatch},
};

/// The runs that wait, in their order.
#[derive(Clone, Copy)]
pub struct LiveQueue {
    queue: RwSignal<Queue>,
}

impl LiveQueue {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self { queue: RwSignal::default() }
    }

    /// Goes live, until the owner is gone.
    pub fn begin(self) {
        // The page tells of a server that is away elsewhere.
        #[cfg(feature = "hydrate")]
        drop(ListWatch::begin(
            self,
            RwSignal::new(Connection::new(Settings::default(), true).link()),
            RwSignal::new(Role::Solo),
        ));
    }

    /// The place of a run, if it is known to wait. Tracks the queue.
    pub fn place(&self, run: &RunId) -> Option<QueuedRun> {
        self.queue.with(|queue| queue.waiting.iter().find(|waiting| waiting.id == *run).cloned())
    }
}

#[cfg(feature = "hydrate")]
impl ListView for LiveQueue {
    type Answer = Queue;

    fn listed(&self, json: &str) -> bool {
        let knows = |run: &Run| self.queue.with_untracked(|queue| queue.waiting.iter().any(|known| known.id == run.id));
        serde_json::from_str(json).is_ok_and(|run: Run| run.status == Status::Pending || knows(&run))
    }

    fn ask(&self) -> impl Future<Output = Result<Queue, Problem>> + 'static {
        read_queue()
    }

    fn show(&self, now: Queue) {
        if self.queue.with_untracked(|known| *known != now) {
            self.queue.set(now);
        }
    }

    fn failed(&self, _: Problem) {}
}
