//! Keeps a run's page up with the run's journal: what the views read, and behind it the engine that feeds it.

#[cfg(feature = "hydrate")]
mod engine;
#[cfg(feature = "hydrate")]
mod rows;

use std::ops::Range;
use std::sync::Arc;

use leptos::prelude::*;

use crate::feed::rows::LoadState;
use crate::feed::tabs::Role;
use crate::feed::{ConnectionState, FeedIntervals, JournalStats, PageConnection, PageJournal, RunState};
use crate::model::attempt::Attempt;
use crate::model::{Frame, Pin, RunView};

/// A row of the list: its seq, and the frame that shows in it, if that is loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The seq.
    pub seq: u64,
    /// The frame. It has another seq than the row if the row was drawn anew.
    pub frame: Option<Arc<Frame>>,
}

/// A run's page, live.
#[derive(Clone, Copy)]
pub struct LiveRun {
    /// The frames. Read it by [`LiveRun::rows`], which knows when it changed.
    journal: StoredValue<PageJournal>,
    /// Counts the changes of the journal: one for each batch of frames, however many there are in it.
    version: RwSignal<u64>,
    /// The stats for the hooks.
    pub stats: RwSignal<JournalStats>,
    /// The run's state as its frames tell it.
    pub state: RwSignal<RunState>,
    /// How the page is connected.
    pub connection: RwSignal<ConnectionState>,
    /// The tab's part in the browser's one connection.
    pub role: RwSignal<Role>,
    /// Whether the run is pinned. No frame tells it.
    pub pin: RwSignal<Pin>,
    /// Whether the run was deleted.
    pub is_deleted: RwSignal<bool>,
    /// Whether the rows in view are there.
    pub load_state: RwSignal<LoadState>,
    /// The seqs that the server has rendered: the first, and the one after the last.
    pub rendered: (u64, u64),
    /// Counts the times that the server has said where the run stands: at a poll, and when a stream opens.
    pub responses: RwSignal<u32>,
    /// The rows that the reader looks at.
    visible_rows: StoredValue<Range<u64>>,
    #[cfg(feature = "hydrate")]
    engine: StoredValue<Option<std::rc::Rc<engine::Engine>>, LocalStorage>,
}

impl Row {
    /// What tells this row from others, and from what it was before: a frame never changes.
    pub fn key(&self) -> (u64, Option<u64>) {
        (self.seq, self.frame.as_ref().map(|frame| frame.seq))
    }
}

impl LiveRun {
    /// What the server rendered, not live yet.
    pub fn new(view: RunView) -> Self {
        let (active, pin) = (view.run.status.is_active(), view.run.pin);
        let rendered = match (view.frames.first(), view.frames.last()) {
            (Some(first), Some(last)) => (first.seq, last.seq + 1),
            _ => (view.run.head + 1, view.run.head + 1),
        };
        let journal = PageJournal::from_view(view);
        Self {
            version: RwSignal::new(0),
            stats: RwSignal::new(journal.stats()),
            state: RwSignal::new(journal.state().clone()),
            connection: RwSignal::new(PageConnection::new(FeedIntervals::default(), active).state()),
            role: RwSignal::new(Role::Solo),
            pin: RwSignal::new(pin),
            is_deleted: RwSignal::new(false),
            responses: RwSignal::new(0),
            load_state: RwSignal::new(LoadState::Complete),
            rendered,
            visible_rows: StoredValue::new(rendered.0..rendered.1),
            journal: StoredValue::new(journal),
            #[cfg(feature = "hydrate")]
            engine: StoredValue::new_local(None),
        }
    }

    /// Tracks changes of the journal.
    pub fn track(&self) {
        self.version.track();
    }

    /// The rows of these seqs that have a height, loaded or not. Tracks changes of the journal.
    pub fn rows(&self, seqs: Range<u64>) -> Vec<Row> {
        self.version.track();
        self.journal.with_value(|journal| {
            let windows = journal.windows();
            let seqs = seqs.filter(|&seq| windows.row_of(seq) == seq);
            seqs.map(|seq| Row { seq, frame: windows.shown_in(seq).cloned() }).collect()
        })
    }

    /// The row in which the frame of this seq shows: that of an earlier one, if it was drawn anew there.
    pub fn row_of(&self, seq: u64) -> u64 {
        self.journal.with_value(|journal| journal.windows().row_of(seq))
    }

    /// The windows in which rows have or lost their height since this was asked last: see
    /// [`Windows::take_changed_rows`](crate::feed::rows::Windows::take_changed_rows).
    pub fn take_changed_rows(&self) -> Vec<(u64, Vec<bool>)> {
        self.journal.try_update_value(crate::feed::PageJournal::take_changed_rows).unwrap_or_default()
    }

    /// The frame that shows in this row, if it is loaded, and whether that is all of it: large texts are cut to what a row shows.
    /// Tracks changes of the journal.
    pub fn frame(&self, seq: u64) -> Option<(Arc<Frame>, bool)> {
        self.version.track();
        self.journal.with_value(|journal| {
            let windows = journal.windows();
            windows.shown_in(seq).map(|frame| (Arc::clone(frame), !windows.is_abridged(seq)))
        })
    }

    /// Goes live: opens the stream, fetches the past, until the owner is gone. `replaced` is called when the server has
    /// another history than this page, so that all of it is to be loaded anew.
    pub fn begin(self, replaced: impl Fn() + 'static) {
        #[cfg(feature = "hydrate")]
        engine::Engine::begin(self, replaced);
        #[cfg(not(feature = "hydrate"))]
        drop(replaced);
    }

    /// The reader looks at these rows now: what is missing of them is loaded, and what is far from them may be dropped.
    pub fn set_visible_rows(&self, seqs: Range<u64>) {
        // The list may be laid out before the page goes live.
        self.visible_rows.try_set_value(seqs.clone());
        #[cfg(feature = "hydrate")]
        if let Some(engine) = self.engine.try_get_value().flatten() {
            engine.set_visible_rows(seqs);
        }
    }

    /// Asks at once for rows that could not be loaded.
    pub fn retry_loads(&self) {
        #[cfg(feature = "hydrate")]
        if let Some(engine) = self.engine.try_get_value().flatten() {
            engine.retry_loads();
        }
    }

    /// Fetches a frame with all its texts. It is given to `frame`, if that still has the same frame then.
    pub fn fetch_full_frame(&self, seq: u64, frame: RwSignal<Option<Arc<Frame>>>) {
        #[cfg(feature = "hydrate")]
        if let Some(engine) = self.engine.try_get_value().flatten() {
            rows::fetch_full_frame(&engine, seq, frame);
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = (seq, frame);
    }

    /// Takes what frames do not tell of the current attempt.
    pub fn merge_attempt(&self, attempt: &Attempt) {
        let learned = self.journal.try_update_value(|journal| {
            journal.merge_attempt(attempt);
            journal.state().clone()
        });
        if let Some(state) = learned {
            self.state.try_set(state);
        }
    }

    /// Takes what was said of the pin, unless something newer is known.
    pub fn merge_pin(&self, pin: Pin) {
        if self.pin.try_get_untracked().is_some_and(|known| pin.pins > known.pins) {
            self.pin.try_set(pin);
        }
    }

    /// The run was deleted: nothing more is asked for.
    pub fn on_deleted(&self) {
        self.is_deleted.try_set(true);
        #[cfg(feature = "hydrate")]
        if let Some(engine) = self.engine.try_get_value().flatten() {
            engine.dispatch(crate::feed::Event::Gone);
        }
    }

    /// An action of this page was answered: the run is active now, or is not.
    pub fn set_active(&self, active: bool) {
        #[cfg(feature = "hydrate")]
        if let Some(engine) = self.engine.try_get_value().flatten() {
            engine.dispatch(crate::feed::Event::Active(active));
        }
        #[cfg(not(feature = "hydrate"))]
        let _ = active;
    }
}
