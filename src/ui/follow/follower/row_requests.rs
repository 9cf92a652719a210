//! Loads the visible rows of a long log. What to request, and when, is decided in `feed/rows/loader.rs`.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::publish::publish;
use crate::browser::{Timer, fetch_frames, pause, steady};
use crate::feed::rows::RowLoader;
use crate::feed::{PageJournal, PollError};
use crate::model::{Cursor, Frame, RunId};
use crate::ui::follow::live_run::LiveRun;

/// How long frames are parsed without a pause, in milliseconds.
const PARSE_SLICE_MS: u64 = 6;
/// The wait before rows are requested, in milliseconds, so that dragging the scrollbar does not request every place it
/// passes.
const SETTLE_MS: u64 = 40;

/// The requests for the rows of a run.
pub(super) struct RowRequests {
    live: LiveRun,
    run: RunId,
    loader: RefCell<RowLoader>,
    /// The next time that something is requested.
    timer: RefCell<Option<Timer>>,
    is_settling: Cell<bool>,
    /// What was published last: see [`publish`].
    revision: Cell<u64>,
}

impl RowRequests {
    pub(super) fn new(live: LiveRun, run: RunId) -> Rc<Self> {
        Rc::new(Self {
            live,
            run,
            loader: RefCell::default(),
            timer: RefCell::default(),
            is_settling: Cell::new(false),
            revision: Cell::new(0),
        })
    }

    /// Lets the views know what the journal has now.
    pub(super) fn publish(&self) {
        let mut revision = self.revision.get();
        publish(self.live, &mut revision);
        self.revision.set(revision);
    }

    /// Other rows are visible than before.
    pub(super) fn on_rows_changed(self: &Rc<Self>) {
        self.publish_load_state();
        if !self.is_settling.replace(true) {
            self.load_after(SETTLE_MS);
        }
    }

    /// Requests rows at once that could not be loaded.
    pub(super) fn retry(self: &Rc<Self>) {
        self.loader.borrow_mut().retry();
        self.load();
    }

    /// Requests the rows that are needed now.
    pub(super) fn load(self: &Rc<Self>) {
        self.is_settling.set(false);
        self.timer.take();
        if self.live.is_deleted.try_get_untracked() != Some(false) {
            return;
        }
        while let Some(seqs) = self.next_load() {
            let weak = Rc::downgrade(self);
            spawn_local(async move { fetch_rows(&weak, seqs).await });
        }
        self.publish_load_state();
        let wait_ms = self.loader.borrow().wait_ms(steady());
        if let Some(wait_ms) = wait_ms {
            self.load_after(wait_ms);
        }
    }

    fn load_after(self: &Rc<Self>, wait_ms: u64) {
        let weak = Rc::downgrade(self);
        let timer = Timer::after(wait_ms, move || {
            if let Some(requests) = weak.upgrade() {
                requests.load();
            }
        });
        self.timer.replace(Some(timer));
    }

    fn next_load(&self) -> Option<Range<u64>> {
        let visible = self.live.visible_rows.try_get_value()?;
        let mut loader = self.loader.borrow_mut();
        let next = |journal: &PageJournal| loader.next(journal.windows(), &visible, journal.cursor().0, steady());
        self.live.journal.try_with_value(next).flatten()
    }

    fn publish_load_state(&self) {
        let Some(visible) = self.live.visible_rows.try_get_value() else { return };
        let state = {
            let loader = self.loader.borrow();
            let state = |journal: &PageJournal| loader.state(journal.windows(), &visible, journal.cursor().0);
            self.live.journal.try_with_value(state)
        };
        if let Some(state) = state
            && self.live.load_state.try_get_untracked() != Some(state)
        {
            self.live.load_state.try_set(state);
        }
    }

    /// Takes the frames of a response.
    fn take_rows(&self, seqs: &Range<u64>, frames: Option<Vec<Frame>>, redraws: Vec<Frame>, retry_after_ms: u64) {
        let count = frames.as_ref().map_or(0, |frames| frames.len() as u64);
        let taken = frames.filter(|frames| !frames.is_empty()).and_then(|frames| {
            self.live.journal.try_update_value(|journal| journal.insert(seqs, frames)).and_then(Result::ok)
        });
        match taken {
            Some(_) => {
                self.live.journal.try_update_value(|journal| journal.add_redraws(redraws));
                self.loader.borrow_mut().succeed(seqs, count);
            }
            None => self.loader.borrow_mut().fail(seqs, steady(), retry_after_ms),
        }
    }

    /// See [`LiveRun::fetch_full_frame`].
    pub(super) fn fetch_full_frame(&self, seq: u64, frame: RwSignal<Option<Arc<Frame>>>) {
        let run = self.run.clone();
        spawn_local(async move {
            let Ok(page) = fetch_frames(&run, Cursor(seq.saturating_sub(1)), 1).await else { return };
            let full = page.frames.first().and_then(|text| serde_json::from_str::<Frame>(text).ok());
            let shown = frame.try_get_untracked().flatten().map(|shown| shown.seq);
            if let Some(full) = full.filter(|full| shown == Some(full.seq)) {
                frame.try_set(Some(Arc::new(full)));
            }
        });
    }
}

async fn fetch_rows(weak: &Weak<RowRequests>, seqs: Range<u64>) {
    let Some(run) = weak.upgrade().map(|requests| requests.run.clone()) else { return };
    let (frames, redraws, retry_after_ms) =
        match fetch_frames(&run, Cursor(seqs.start - 1), seqs.end - seqs.start).await {
            Ok(page) => (parse_frames(page.frames).await, parse_frames(page.redraws).await, 0),
            Err(PollError::Unavailable { retry_after_ms }) => (None, None, retry_after_ms),
            // The connection's own polls find out, and end the page.
            Err(PollError::CursorAhead | PollError::RunNotFound) => (None, None, 0),
        };
    let Some(requests) = weak.upgrade() else { return };
    requests.take_rows(&seqs, frames, redraws.unwrap_or_default(), retry_after_ms);
    requests.publish();
    requests.load();
}

/// Parses frames with pauses, so that the page stays responsive. `None` if one of them is no frame.
async fn parse_frames(texts: Vec<String>) -> Option<Vec<Frame>> {
    let mut frames = Vec::with_capacity(texts.len());
    let mut slice_end = steady() + PARSE_SLICE_MS;
    for text in texts {
        frames.push(serde_json::from_str(&text).ok()?);
        if steady() >= slice_end {
            pause(0).await;
            slice_end = steady() + PARSE_SLICE_MS;
        }
    }
    Some(frames)
}
