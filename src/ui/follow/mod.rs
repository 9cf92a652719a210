//! Keeps a run's page up with the run's journal: what the views read, and behind it the engine that feeds it.

#[cfg(feature = "hydrate")]
mod engine;
#[cfg(feature = "hydrate")]
mod past;

use std::sync::Arc;

use leptos::prelude::*;

use crate::activity::tabs::Role;
use crate::activity::{Connection, Journal, Link, Numbers, RunState, Settings};
use crate::model::attempt::Attempt;
use crate::model::{Frame, Pin, RunView};

/// The most frames that are held while more come. A journal of no more is fetched whole; of a longer one the page has its end,
/// and what is older when it is scrolled to.
#[cfg(feature = "hydrate")]
pub const BOUND: usize = 50_000;

/// The most frames held at all.
#[cfg(feature = "hydrate")]
pub const MOST: usize = 200_000;

/// A run's page, live.
#[derive(Clone, Copy)]
pub struct Follow {
    /// The frames. Read it by [`Follow::frames`], which knows when it changed.
    journal: StoredValue<Journal>,
    /// Counts the changes of the journal: one for each batch of frames, however many there are in it.
    version: RwSignal<u64>,
    /// The numbers for the hooks.
    pub numbers: RwSignal<Numbers>,
    /// The run's state as its frames tell it.
    pub state: RwSignal<RunState>,
    /// How the page is connected.
    pub link: RwSignal<Link>,
    /// The tab's part in the browser's one connection.
    pub role: RwSignal<Role>,
    /// Whether the run is pinned. No frame tells it.
    pub pin: RwSignal<Pin>,
    /// Whether the run was deleted.
    pub gone: RwSignal<bool>,
    /// Counts the times that the server has said where the run stands: at a poll, and when a stream opens.
    pub answered: RwSignal<u32>,
    #[cfg(feature = "hydrate")]
    engine: StoredValue<Option<std::rc::Rc<engine::Engine>>, LocalStorage>,
}

impl Follow {
    /// What the server rendered, not live yet.
    pub fn new(view: RunView) -> Self {
        let (active, pin) = (view.run.status.is_active(), view.run.pin);
        let journal = Journal::of(view);
        Self {
            version: RwSignal::new(0),
            numbers: RwSignal::new(journal.numbers()),
            state: RwSignal::new(journal.state().clone()),
            link: RwSignal::new(Connection::new(Settings::default(), active).link()),
            role: RwSignal::new(Role::Solo),
            pin: RwSignal::new(pin),
            gone: RwSignal::new(false),
            answered: RwSignal::new(0),
            journal: StoredValue::new(journal),
            #[cfg(feature = "hydrate")]
            engine: StoredValue::new_local(None),
        }
    }

    /// The frames at these places. Tracks changes of the journal.
    pub fn frames(&self, places: std::ops::Range<usize>) -> Vec<Arc<Frame>> {
        self.version.track();
        self.journal.with_value(|journal| journal.held().slice(places).cloned().collect())
    }

    /// The frame of this seq, if it is held. Tracks changes of the journal.
    pub fn frame(&self, seq: u64) -> Option<Arc<Frame>> {
        self.version.track();
        self.journal.with_value(|journal| journal.held().get(seq).cloned())
    }

    /// Where the frame of this seq stands among those held. Tracks nothing.
    pub fn place_of(&self, seq: u64) -> Option<usize> {
        self.journal.with_value(|journal| journal.held().index_of(seq))
    }

    /// Goes live: opens the stream, fetches the past, until the owner is gone. `replaced` is called when the server has
    /// another history than this page, so that all of it is to be loaded anew.
    pub fn begin(self, replaced: impl Fn() + 'static) {
        #[cfg(feature = "hydrate")]
        engine::Engine::begin(self, replaced);
        #[cfg(not(feature = "hydrate"))]
        drop(replaced);
    }

    /// Fetches a page of frames older than those held, if there are any.
    pub fn load_older(&self) {
        #[cfg(feature = "hydrate")]
        if let Some(engine) = self.engine.try_get_value().flatten() {
            past::load_page(&engine);
        }
    }

    /// Whether the reader looks at what came before, so that it should stay however much comes.
    pub fn reading(&self, reading: bool) {
        #[cfg(feature = "hydrate")]
        if let Some(engine) = self.engine.try_get_value().flatten() {
            engine.past.set_reading(reading);
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = reading;
    }

    /// Takes what frames do not tell of the current attempt.
    pub fn learn_attempt(&self, attempt: &Attempt) {
        let learned = self.journal.try_update_value(|journal| {
            journal.learn_attempt(attempt);
            journal.state().clone()
        });
        if let Some(state) = learned {
            self.state.try_set(state);
        }
    }

    /// Takes what was said of the pin, unless something newer is known.
    pub fn learn_pin(&self, pin: Pin) {
        if self.pin.try_get_untracked().is_some_and(|known| pin.pins > known.pins) {
            self.pin.try_set(pin);
        }
    }

    /// The run was deleted: nothing more is asked for.
    pub fn vanish(&self) {
        self.gone.try_set(true);
        #[cfg(feature = "hydrate")]
        if let Some(engine) = self.engine.try_get_value().flatten() {
            engine.feed(crate::activity::Event::Gone);
        }
    }

    /// An action of this page was answered: the run is active now, or is not.
    pub fn heard(&self, active: bool) {
        #[cfg(feature = "hydrate")]
        if let Some(engine) = self.engine.try_get_value().flatten() {
            engine.feed(crate::activity::Event::Active(active));
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = active;
    }
}
