//! RowLoader the rows that the reader looks at. What to ask for is decided in `feed/rows/loader.rs`.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::engine::Engine;
use crate::browser::{NoAnswer, Timer, fetch_frames, pause, steady};
use crate::feed::PageJournal;
use crate::feed::rows::{NEAR_ROWS, RowLoader};
use crate::model::{Cursor, Frame};

/// How long frames are read at a stretch, in milliseconds.
const TURN_MS: u64 = 6;
/// The wait before rows are asked for, in milliseconds, so that dragging the scrollbar does not ask for every place it passes.
const SETTLE_MS: u64 = 40;

/// Which rows are looked at, and the requests for them.
pub(super) struct Rows {
    visible: RefCell<Range<u64>>,
    loads: RefCell<RowLoader>,
    /// The next time that something is asked for.
    timer: RefCell<Option<Timer>>,
    is_settling: Cell<bool>,
    /// What the views have been told of: see `Windows::revision`.
    pub(super) revision: Cell<u64>,
}

impl Rows {
    /// These rows are looked at.
    pub(super) fn of(visible: Range<u64>) -> Self {
        Self {
            visible: RefCell::new(visible),
            loads: RefCell::default(),
            timer: RefCell::default(),
            is_settling: Cell::new(false),
            revision: Cell::new(0),
        }
    }

    /// The rows that stay, whatever else is dropped.
    pub(super) fn kept(&self) -> Range<u64> {
        let visible = self.visible.borrow();
        visible.start.saturating_sub(NEAR_ROWS)..visible.end.saturating_add(NEAR_ROWS)
    }
}

impl Engine {
    /// See [`LiveRun::set_visible_rows`](super::LiveRun::look_at).
    pub(super) fn set_visible_rows(self: &Rc<Self>, seqs: Range<u64>) {
        if *self.rows.visible.borrow() == seqs {
            return;
        }
        self.rows.visible.replace(seqs);
        self.show_load_state();
        if !self.rows.is_settling.replace(true) {
            self.load_after(SETTLE_MS);
        }
    }

    /// See [`LiveRun::retry_loads`](super::LiveRun::retry_loads).
    pub(super) fn retry_loads(self: &Rc<Self>) {
        self.rows.loads.borrow_mut().retry();
        self.load();
    }

    /// Asks for the rows that are wanted now.
    pub(super) fn load(self: &Rc<Self>) {
        self.rows.is_settling.set(false);
        self.rows.timer.take();
        if self.follow.is_deleted.try_get_untracked() != Some(false) {
            return;
        }
        while let Some(seqs) = self.next_load() {
            let weak = Rc::downgrade(self);
            spawn_local(async move { fetch(&weak, seqs).await });
        }
        self.show_load_state();
        let wait = self.rows.loads.borrow().wait_ms(steady());
        if let Some(wait) = wait {
            self.load_after(wait);
        }
    }

    fn load_after(self: &Rc<Self>, milliseconds: u64) {
        let weak = Rc::downgrade(self);
        let timer = Timer::after(milliseconds, move || {
            if let Some(engine) = weak.upgrade() {
                engine.load();
            }
        });
        self.rows.timer.replace(Some(timer));
    }

    fn next_load(&self) -> Option<Range<u64>> {
        let (visible, mut loads) = (self.rows.visible.borrow(), self.rows.loads.borrow_mut());
        let next = |journal: &PageJournal| loads.next(journal.windows(), &visible, journal.cursor().0, steady());
        self.follow.journal.try_with_value(next).flatten()
    }

    fn show_load_state(&self) {
        let state = {
            let (visible, loads) = (self.rows.visible.borrow(), self.rows.loads.borrow());
            let state = |journal: &PageJournal| loads.state(journal.windows(), &visible, journal.cursor().0);
            self.follow.journal.try_with_value(state)
        };
        if let Some(state) = state
            && self.follow.load_state.try_get_untracked() != Some(state)
        {
            self.follow.load_state.try_set(state);
        }
    }

    /// Takes the frames that a request brought.
    fn take_rows(&self, seqs: &Range<u64>, frames: Option<Vec<Frame>>, redraws: Vec<Frame>, floor_ms: u64) {
        let count = frames.as_ref().map_or(0, |frames| frames.len() as u64);
        let taken = frames.filter(|frames| !frames.is_empty()).and_then(|frames| {
            self.follow.journal.try_update_value(|journal| journal.insert(seqs, frames)).and_then(Result::ok)
        });
        match taken {
            Some(_) => {
                self.follow.journal.try_update_value(|journal| journal.add_redraws(redraws));
                self.rows.loads.borrow_mut().succeed(seqs, count);
            }
            None => self.rows.loads.borrow_mut().fail(seqs, steady(), floor_ms),
        }
    }
}

async fn fetch(weak: &Weak<Engine>, seqs: Range<u64>) {
    let Some(run) = weak.upgrade().map(|engine| engine.run.clone()) else { return };
    let answer = fetch_frames(&run, Cursor(seqs.start - 1), seqs.end - seqs.start).await;
    let (frames, redraws, floor_ms) = match answer {
        Ok(answer) => (read(answer.frames).await, read(answer.redraws).await, 0),
        Err(NoAnswer::Failed { floor }) => (None, None, floor),
        // The live side sees the same and deals with it.
        Err(NoAnswer::Ahead | NoAnswer::Gone) => (None, None, 0),
    };
    let Some(engine) = weak.upgrade() else { return };
    engine.take_rows(&seqs, frames, redraws.unwrap_or_default(), floor_ms);
    engine.show();
    engine.load();
}

/// Reads frames a few at a time. `None` if one of them is no frame.
async fn read(texts: Vec<String>) -> Option<Vec<Frame>> {
    let mut frames = Vec::with_capacity(texts.len());
    let mut end = steady() + TURN_MS;
    for text in texts {
        frames.push(serde_json::from_str(&text).ok()?);
        if steady() >= end {
            pause(0).await;
            end = steady() + TURN_MS;
        }
    }
    Some(frames)
}

/// See [`LiveRun::fetch_full_frame`](super::LiveRun::fetch_full_frame).
pub(super) fn fetch_full_frame(engine: &Rc<Engine>, seq: u64, frame: RwSignal<Option<Arc<Frame>>>) {
    let run = engine.run.clone();
    spawn_local(async move {
        let Ok(answer) = fetch_frames(&run, Cursor(seq.saturating_sub(1)), 1).await else { return };
        let whole = answer.frames.first().and_then(|text| serde_json::from_str::<Frame>(text).ok());
        let shown = frame.try_get_untracked().flatten().map(|shown| shown.seq);
        if let Some(whole) = whole.filter(|whole| shown == Some(whole.seq)) {
            frame.try_set(Some(Arc::new(whole)));
        }
    });
}
