//! Which rows are drawn and where: the virtual list's hands on the page. The arithmetic is in `activity/window.rs`.

use std::sync::Arc;

use leptos::html;
use leptos::prelude::*;
use leptos::web_sys::HtmlElement;

use crate::activity::window::{Rows, Tail, View};
use crate::browser::{self, Resized};
use crate::model::Frame;
use crate::ui::follow::Follow;
use crate::ui::slot::Slot;

/// A row's height in pixels; the style sheet has it too (`.row`).
const ROWS: Rows = Rows { height: 20.0, overscan: 15 };

/// So close to the first row older frames are asked for.
const NEAR_TOP: f64 = 400.0;

/// The list's state.
#[derive(Clone, Copy)]
pub struct Scroll {
    follow: Follow,
    /// The element that scrolls.
    pub scroller: NodeRef<html::Div>,
    /// The element that is as high as all rows together.
    pub space: NodeRef<html::Div>,
    /// The element that has the rows.
    pub block: NodeRef<html::Div>,
    /// The frames that are drawn.
    pub drawn: RwSignal<Vec<Arc<Frame>>>,
    /// Whether the newest row is kept in view.
    pub following: RwSignal<bool>,
    /// The last seq there was while the newest row was in view.
    pub seen: RwSignal<u64>,
    /// The frame that is marked.
    pub marked: RwSignal<Option<u64>>,
    inner: StoredValue<Inner>,
    resized: Slot<Resized>,
}

#[derive(Clone, Copy, Default)]
struct Inner {
    tail: Tail,
    /// The view's height, so that drawing need not ask the page for it.
    height: f64,
    /// The first seq held at the last layout.
    first: u64,
    /// A frame that is to be shown as soon as it is here.
    target: Option<u64>,
    /// Whether it is to be the first in view, and not in the middle.
    at_top: bool,
}

impl Scroll {
    /// A list that draws all that the server rendered, until it is laid out.
    pub fn new(follow: Follow) -> Self {
        let numbers = follow.numbers.get_untracked();
        let inner = Inner { first: numbers.first, ..Inner::default() };
        Self {
            follow,
            scroller: NodeRef::new(),
            space: NodeRef::new(),
            block: NodeRef::new(),
            drawn: RwSignal::new(untrack(|| follow.frames(0..numbers.frames))),
            following: RwSignal::new(true),
            seen: RwSignal::new(numbers.last),
            marked: RwSignal::new(None),
            inner: StoredValue::new(inner),
            resized: Slot::new(),
        }
    }

    /// Starts the work, once the elements are there.
    pub fn mounted(self) {
        let Some(scroller) = self.scroller.get() else { return };
        self.go_to_hash();
        if let Some(resized) = Resized::watch(&scroller, move || self.resize()) {
            self.resized.keep(resized);
        }
        self.resize();
    }

    /// Shows the frame that the address names, if it names one.
    pub fn go_to_hash(self) {
        let seq = browser::hash().and_then(|hash| hash.strip_prefix('f')?.parse().ok());
        if let Some(seq) = seq {
            self.inner.update_value(|inner| {
                (inner.target, inner.at_top) = (Some(seq), false);
                inner.tail.stay();
            });
            self.marked.set(Some(seq));
            self.tell_following();
            self.layout();
        }
    }

    /// Shows the frames from this one on, unless the address names one that is not shown yet.
    pub fn begin_with(self, seq: u64) {
        if self.inner.with_value(|inner| inner.target.is_some()) || browser::hash().is_some() {
            return;
        }
        self.inner.update_value(|inner| {
            (inner.target, inner.at_top) = (Some(seq), true);
            inner.tail.stay();
        });
        self.marked.set(None);
        self.tell_following();
        self.layout();
    }

    /// Marks a frame and lets the address name it; takes the mark away if `None`.
    pub fn mark(self, seq: Option<u64>) {
        self.marked.set(seq);
        if seq.is_some() && self.follow.state.with_untracked(|state| state.run.status.is_active()) {
            // What one looks at should not run away.
            self.inner.update_value(|inner| inner.tail.stay());
            self.tell_following();
        }
        browser::set_hash(&seq.map_or_else(String::new, |seq| format!("f{seq}")));
    }

    /// Marks the frame so many rows further, and brings it into view.
    pub fn mark_next(self, rows: i64) {
        let Some(marked) = self.marked.get_untracked() else { return };
        let Some(next) = marked.checked_add_signed(rows) else { return };
        let (Some(place), Some(scroller)) = (self.follow.place_of(next), self.scroller.get_untracked()) else { return };
        self.mark(Some(next));
        if let Some(top) = ROWS.revealed(place, view(&scroller)) {
            scroller.set_scroll_top(top as i32);
        }
    }

    /// Keeps the newest row in view from now on.
    pub fn to_newest(self) {
        self.inner.update_value(|inner| inner.tail.resume());
        self.tell_following();
        self.layout();
    }

    /// The list was scrolled.
    pub fn scrolled(self) {
        let Some(scroller) = self.scroller.get_untracked() else { return };
        let view = view(&scroller);
        let total = self.follow.numbers.with_untracked(|numbers| numbers.frames);
        self.inner.update_value(|inner| inner.tail.scrolled(view, ROWS.length(total)));
        self.tell_following();
        self.draw(view, total);
        if view.top < NEAR_TOP && !self.following.get_untracked() {
            self.follow.load_older();
        }
    }

    fn resize(self) {
        let Some(scroller) = self.scroller.try_get_untracked().flatten() else { return };
        let height = f64::from(scroller.client_height());
        let before = View { height: self.inner.with_value(|inner| inner.height), ..view(&scroller) };
        self.inner.update_value(|inner| inner.height = height);
        self.layout();
        // The detail of a marked row takes room from the list: not that of the row itself.
        let marked = self.marked.get_untracked().and_then(|seq| self.follow.place_of(seq));
        let in_view = marked.filter(|&place| ROWS.revealed(place, before).is_none());
        if let Some(top) = in_view.and_then(|place| ROWS.revealed(place, view(&scroller)))
            && !self.following.get_untracked()
        {
            scroller.set_scroll_top(top as i32);
        }
    }

    /// Puts everything in its place after the frames changed.
    pub fn layout(self) {
        let (Some(scroller), Some(space)) = (self.scroller.get_untracked(), self.space.get_untracked()) else { return };
        let numbers = self.follow.numbers.get_untracked();
        let Some(mut inner) = self.inner.try_get_value() else { return };
        browser::set_style(&space, "height", &format!("{}px", ROWS.length(numbers.frames)));
        let mut top = f64::from(scroller.scroll_top());
        let target = inner.target.and_then(|seq| self.follow.place_of(seq));
        let before = top;
        if let Some(place) = target {
            inner.target = None;
            top = if inner.at_top { ROWS.length(place) } else { ROWS.centred(place, inner.height) };
        } else if inner.target.is_some_and(|seq| seq < numbers.first) {
            self.follow.load_older();
        } else if inner.tail.following() {
            // Beyond the end, so that the list's own padding is in view too; the browser stops where the end is.
            top = (ROWS.length(numbers.frames) - inner.height).max(0.0) + ROWS.height;
        } else if numbers.first != inner.first {
            // Rows came in, or went, above: what one looks at stays where it is.
            let by = (inner.first as f64 - numbers.first as f64) * ROWS.height;
            inner.tail.shifted(by);
            top = (top + by).max(0.0);
        }
        inner.first = numbers.first;
        self.inner.try_set_value(inner);
        if (top - before).abs() >= 1.0 && (before > 0.0 || top > ROWS.height) {
            scroller.set_scroll_top(top as i32);
        }
        if inner.tail.following() {
            self.seen.try_set(numbers.last);
        }
        self.draw(View { top, height: inner.height }, numbers.frames);
    }

    fn draw(self, view: View, total: usize) {
        let Some(block) = self.block.get_untracked() else { return };
        let range = ROWS.range(view, total);
        let offset = ROWS.length(range.start);
        let frames = untrack(|| self.follow.frames(range));
        let same = self.drawn.with_untracked(|drawn| {
            let ends = |frames: &[Arc<Frame>]| (frames.first().map(|f| f.seq), frames.last().map(|f| f.seq));
            ends(drawn) == ends(&frames)
        });
        // Not a transform: Chromium does not paint anew what moves together with the scroll position.
        browser::set_style(&block, "top", &format!("{offset}px"));
        if !same {
            self.drawn.set(frames);
        }
    }

    fn tell_following(self) {
        let following = self.inner.with_value(|inner| inner.tail.following());
        if self.following.get_untracked() != following {
            self.following.set(following);
            self.follow.reading(!following);
            self.seen.set(self.follow.numbers.with_untracked(|numbers| numbers.last));
        }
    }
}

fn view(scroller: &HtmlElement) -> View {
    View { top: f64::from(scroller.scroll_top()), height: f64::from(scroller.client_height()) }
}
