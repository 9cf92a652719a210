//! The queue as the page knows it. What keeps it up to date is `engine.rs`.

use leptos::prelude::*;

#[cfg(feature = "hydrate")]
use crate::activity::{Connection, Link, Settings, tabs::Role};
use crate::model::RunId;
use crate::model::queue::{Queue, Waiting};

/// The runs that wait, in their order.
#[derive(Clone, Copy)]
pub struct LiveQueue {
    queue: RwSignal<Queue>,
    #[cfg(feature = "hydrate")]
    pub(super) link: RwSignal<Link>,
    #[cfg(feature = "hydrate")]
    pub(super) role: RwSignal<Role>,
    #[cfg(feature = "hydrate")]
    pub(super) engine: StoredValue<Option<std::rc::Rc<super::engine::Engine>>, LocalStorage>,
}

impl LiveQueue {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self {
            queue: RwSignal::default(),
            #[cfg(feature = "hydrate")]
            link: RwSignal::new(Connection::new(Settings::default(), true).link()),
            #[cfg(feature = "hydrate")]
            role: RwSignal::new(Role::Solo),
            #[cfg(feature = "hydrate")]
            engine: StoredValue::new_local(None),
        }
    }

    /// Goes live, until the owner is gone.
    pub fn begin(self) {
        #[cfg(feature = "hydrate")]
        super::engine::Engine::begin(self);
    }

    /// The place of a run, if it is known to wait. Tracks the queue.
    pub fn place(&self, run: &RunId) -> Option<Waiting> {
        self.queue.with(|queue| queue.waiting.iter().find(|waiting| waiting.id == *run).cloned())
    }

    #[cfg(feature = "hydrate")]
    pub(super) fn knows(&self, run: &RunId) -> bool {
        self.queue.try_with_untracked(|queue| queue.waiting.iter().any(|waiting| waiting.id == *run)).unwrap_or(false)
    }

    #[cfg(feature = "hydrate")]
    pub(super) fn set(&self, now: Queue) {
        if self.queue.try_with_untracked(|known| *known != now) == Some(true) {
            self.queue.try_set(now);
        }
    }
}
