//! A run as its page shows it: the frames, the state that they add up to, and how the page is connected.

use std::ops::Range;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use leptos::prelude::*;

use crate::feed::rows::LoadState;
use crate::feed::tabs::TabRole;
use crate::feed::{
    ConnectionEvent, ConnectionState, FeedIntervals, JournalStats, PageConnection, PageJournal, RunState,
};
use crate::model::attempt::Attempt;
use crate::model::{Frame, Pin, RunView};
use crate::ui::scoped_handle::ScopedHandle;

/// A row of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub seq: u64,
    /// The frame that shows in the row, if it is loaded. Its seq differs from the row's if the row was drawn anew.
    pub frame: Option<Arc<Frame>>,
}

impl Row {
    /// Identifies the row and what it shows: a frame never changes.
    pub fn key(&self) -> (u64, Option<u64>) {
        (self.seq, self.frame.as_ref().map(|frame| frame.seq))
    }
}

/// What follows the run in the browser.
pub(super) trait RunDriver {
    fn dispatch(&self, event: ConnectionEvent<'_>);

    /// Other rows are visible than before.
    fn on_rows_changed(&self);

    fn retry_loads(&self);

    fn fetch_full_frame(&self, seq: u64, frame: RwSignal<Option<Arc<Frame>>>);
}

/// See the module's comment.
#[derive(Clone, Copy)]
pub struct LiveRun {
    pub(super) journal: StoredValue<PageJournal>,
    /// Counts the changes of the journal: one for each batch of frames.
    pub(super) version: RwSignal<u64>,
    /// The journal's numbers, which the page shows as test ids.
    pub stats: RwSignal<JournalStats>,
    /// The run's state as of the cursor.
    pub state: RwSignal<RunState>,
    pub connection: RwSignal<ConnectionState>,
    pub role: RwSignal<TabRole>,
    /// Whether the run is pinned. No frame says so.
    pub pin: RwSignal<Pin>,
    pub is_deleted: RwSignal<bool>,
    /// Whether the visible rows are loaded.
    pub load_state: RwSignal<LoadState>,
    /// The seqs that the server rendered: the first, and the one after the last.
    pub rendered: (u64, u64),
    /// Counts the times that the server has answered: to polls, and by opening the stream.
    pub responses: RwSignal<u32>,
    /// The seqs of the visible rows.
    pub(super) visible_rows: StoredValue<Range<u64>>,
    /// Its owner drops it when the page is disposed of.
    pub(super) driver: ScopedHandle<Weak<dyn RunDriver>>,
}

impl LiveRun {
    /// What the server rendered, not followed yet.
    pub fn new(view: RunView) -> Self {
        let (is_active, pin) = (view.run.status.is_active(), view.run.pin);
        let rendered = match (view.frames.first(), view.frames.last()) {
            (Some(first), Some(last)) => (first.seq, last.seq + 1),
            _ => (view.run.head + 1, view.run.head + 1),
        };
        let journal = PageJournal::from_view(view);
        Self {
            version: RwSignal::new(0),
            stats: RwSignal::new(journal.stats()),
            state: RwSignal::new(journal.state().clone()),
            connection: RwSignal::new(PageConnection::new(FeedIntervals::default(), is_active).state()),
            role: RwSignal::new(TabRole::Solo),
            pin: RwSignal::new(pin),
            is_deleted: RwSignal::new(false),
            responses: RwSignal::new(0),
            load_state: RwSignal::new(LoadState::Complete),
            rendered,
            visible_rows: StoredValue::new(rendered.0..rendered.1),
            journal: StoredValue::new(journal),
            driver: ScopedHandle::new(),
        }
    }

    /// Tracks changes of the journal.
    pub fn track(&self) {
        self.version.track();
    }

    /// Those of these rows that have a height, loaded or not. Tracks changes of the journal.
    pub fn rows(&self, seqs: Range<u64>) -> Vec<Row> {
        self.version.track();
        self.journal.with_value(|journal| {
            let windows = journal.windows();
            let seqs = seqs.filter(|&seq| windows.row_of(seq) == seq);
            seqs.map(|seq| Row { seq, frame: windows.shown_in(seq).cloned() }).collect()
        })
    }

    /// The row in which the frame shows: an earlier frame's row, if this one redraws it.
    pub fn row_of(&self, seq: u64) -> u64 {
        self.journal.with_value(|journal| journal.windows().row_of(seq))
    }

    /// See [`Windows::take_changed_rows`](crate::feed::rows::Windows::take_changed_rows).
    pub fn take_changed_rows(&self) -> Vec<(u64, Vec<bool>)> {
        self.journal.try_update_value(PageJournal::take_changed_rows).unwrap_or_default()
    }

    /// The frame that shows in the row, if it is loaded, and whether it is whole: large texts are cut to what a row
    /// shows. Tracks changes of the journal.
    pub fn frame(&self, seq: u64) -> Option<(Arc<Frame>, bool)> {
        self.version.track();
        self.journal.with_value(|journal| {
            let windows = journal.windows();
            windows.shown_in(seq).map(|frame| (Arc::clone(frame), !windows.is_abridged(seq)))
        })
    }

    /// These rows are visible now: they are loaded if they are missing, and rows far from them may be dropped.
    pub fn set_visible_rows(&self, seqs: Range<u64>) {
        // The list may be laid out before the run is followed.
        let before = self.visible_rows.try_update_value(|visible| std::mem::replace(visible, seqs.clone()));
        if before.is_some_and(|before| before != seqs)
            && let Some(driver) = self.driver()
        {
            driver.on_rows_changed();
        }
    }

    /// Requests rows at once that could not be loaded.
    pub fn retry_loads(&self) {
        if let Some(driver) = self.driver() {
            driver.retry_loads();
        }
    }

    /// Fetches a frame with its texts in full, and sets the signal to it if that still has the same frame then.
    pub fn fetch_full_frame(&self, seq: u64, frame: RwSignal<Option<Arc<Frame>>>) {
        if let Some(driver) = self.driver() {
            driver.fetch_full_frame(seq, frame);
        }
    }

    /// Adds what frames do not say of the current attempt.
    pub fn merge_attempt(&self, attempt: &Attempt) {
        let merged = self.journal.try_update_value(|journal| {
            journal.merge_attempt(attempt);
            journal.state().clone()
        });
        if let Some(state) = merged {
            self.state.try_set(state);
        }
    }

    /// Takes the pin, unless a newer one is known.
    pub fn merge_pin(&self, pin: Pin) {
        if self.pin.try_get_untracked().is_some_and(|known| pin.pins > known.pins) {
            self.pin.try_set(pin);
        }
    }

    /// The run was deleted: the page requests nothing more.
    pub fn on_deleted(&self) {
        self.is_deleted.try_set(true);
        self.dispatch(ConnectionEvent::Deleted);
    }

    /// The response to an action of this page says whether the run is active.
    pub fn set_active(&self, is_active: bool) {
        self.dispatch(ConnectionEvent::ActiveChanged(is_active));
    }

    fn driver(&self) -> Option<Rc<dyn RunDriver>> {
        self.driver.get()?.upgrade()
    }

    fn dispatch(&self, event: ConnectionEvent<'_>) {
        if let Some(driver) = self.driver() {
            driver.dispatch(event);
        }
    }
}
