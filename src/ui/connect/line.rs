//! A line: what a page has instead of a connection of its own.

use std::cell::Cell;
use std::rc::Rc;

use leptos::prelude::*;

use super::Hub;
use crate::feed::tabs::Role;
use crate::model::{RunId, Status};

/// What a line carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    /// A run's frames.
    Run(RunId),
    /// Changes of the list.
    List,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is open.
    Ready {
        /// The next frame that comes is the one after this; what lies between is to be fetched.
        after: u64,
        /// The last seq there is.
        head: u64,
        /// Whether the run may make more frames.
        active: bool,
    },
    /// It would be open if it was asked for.
    Available,
    /// The next frames, as JSON that is not read yet.
    Frames(Vec<String>),
    /// There are more frames than the line carries, up to this one.
    More(u64),
    /// It is alive, and the run's last seq is this.
    Beat(u64),
    /// The run is finished and all of it was told.
    End,
    /// A run of the list, as JSON.
    Listed(String),
    /// The stream is away.
    Lost,
}

impl Said {
    /// Of a run that stands there.
    pub fn ready(after: u64, head: u64, status: Status) -> Self {
        Self::Ready { after, head, active: status.is_active() }
    }
}

/// What the hub knows of a line.
pub(super) struct State {
    pub(super) topic: Topic,
    /// The last seq that the page has, or is about to have.
    pub(super) cursor: Box<dyn Fn() -> u64>,
    pub(super) hear: Box<dyn Fn(Said)>,
    /// Whether the page has not worked off what it heard.
    pub(super) busy: Box<dyn Fn() -> bool>,
    pub(super) role: RwSignal<Role>,
    /// The page wants it, now or later.
    pub(super) wanted: Cell<bool>,
    /// The page waits for it to open.
    pub(super) asked: Cell<bool>,
    pub(super) open: Cell<bool>,
}

/// A line to the tab's hub; dropping it closes it.
pub struct Line {
    hub: Rc<Hub>,
    state: Rc<State>,
}

impl Line {
    /// A line that is not asked for yet. `role` is kept to what the tab's part is.
    pub fn new(
        topic: Topic,
        role: RwSignal<Role>,
        cursor: impl Fn() -> u64 + 'static,
        hear: impl Fn(Said) + 'static,
        busy: impl Fn() -> bool + 'static,
    ) -> Self {
        let state = Rc::new(State {
            topic,
            cursor: Box::new(cursor),
            hear: Box::new(hear),
            busy: Box::new(busy),
            role,
            wanted: Cell::new(false),
            asked: Cell::new(false),
            open: Cell::new(false),
        });
        let hub = Hub::of_tab();
        hub.add(Rc::clone(&state));
        Self { hub, state }
    }

    /// Asks for it to be opened. [`Said::Ready`] or [`Said::Lost`] follows, sooner or later.
    pub fn ask(&self) {
        self.state.wanted.set(true);
        self.state.asked.set(true);
        self.state.open.set(false);
        self.hub.changed(true);
    }

    /// Closes it. `wanted`: it will be asked for again.
    pub fn rest(&self, wanted: bool) {
        let State { asked, open, wanted: known, .. } = &*self.state;
        let was = (asked.replace(false), open.replace(false), known.replace(wanted));
        if was != (false, false, wanted) {
            self.hub.changed(false);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.hub.remove(&self.state);
    }
}
