//! Which rows are drawn and where: the list's hands on the page. The arithmetic is in `feed/rows/viewport.rs`.

use leptos::html;
use leptos::prelude::*;

use crate::browser::{self, ResizeListener};
use crate::feed::rows::{Align, Metrics, Viewport};
use crate::ui::follow::{LiveRun, Row};
use crate::ui::slot::Slot;

/// The list's measures; the style sheet has them too (`.row`, and the padding of `.log`).
const METRICS: Metrics = Metrics { row: 20.0, overscan: 15, padding: 8.0, max_height: Metrics::MAX_HEIGHT };

/// The list's state.
#[derive(Clone, Copy)]
pub struct Scroll {
    follow: LiveRun,
    /// The element that scrolls.
    pub scroller: NodeRef<html::Div>,
    /// The element that is as high as all rows together, or as high as an element may be.
    pub space: NodeRef<html::Div>,
    /// The element that has the rows.
    pub block: NodeRef<html::Div>,
    /// The rows that are drawn.
    pub drawn: RwSignal<Vec<Row>>,
    /// Whether the newest row is kept in view.
    pub following: RwSignal<bool>,
    /// The last seq there was while the newest row was in view.
    pub seen: RwSignal<u64>,
    /// The frame that is marked.
    pub marked: RwSignal<Option<u64>>,
    viewport: StoredValue<Viewport>,
    /// The frame of a link that the list was sent to. It may turn out to show in another row.
    linked: StoredValue<Option<u64>>,
    resized: Slot<ResizeListener>,
}

impl Scroll {
    /// A list that draws all that the server rendered, until it is laid out.
    pub fn new(follow: LiveRun) -> Self {
        let last = follow.stats.with_untracked(|stats| stats.last);
        let (first, end) = follow.rendered;
        Self {
            follow,
            scroller: NodeRef::new(),
            space: NodeRef::new(),
            block: NodeRef::new(),
            drawn: RwSignal::new(untrack(|| follow.rows(first..end))),
            following: RwSignal::new(true),
            seen: RwSignal::new(last),
            marked: RwSignal::new(None),
            viewport: StoredValue::new(Viewport::new(METRICS, last)),
            linked: StoredValue::new(None),
            resized: Slot::new(),
        }
    }

    /// Starts the work, once the elements are there.
    pub fn mounted(self) {
        let Some(scroller) = self.scroller.get() else { return };
        self.viewport.update_value(|viewport| viewport.begin(f64::from(scroller.scroll_top())));
        self.go_to_hash();
        if let Some(resized) = ResizeListener::watch(&scroller, move || self.resize()) {
            self.resized.keep(resized);
        }
        self.resize();
    }

    /// Shows the frame that the address names, if it names one.
    pub fn go_to_hash(self) {
        if let Some(seq) = hash_seq() {
            self.open(seq);
        }
    }

    /// Shows a frame and marks it.
    pub fn open(self, seq: u64) {
        self.marked.set(Some(seq));
        self.linked.set_value(Some(seq));
        self.show(seq, Align::Middle);
    }

    /// Shows the frames from this one on, unless the address names one.
    pub fn begin_with(self, seq: u64) {
        if browser::hash().is_none() {
            self.marked.set(None);
            self.show(seq, Align::Top);
        }
    }

    fn show(self, seq: u64, place: Align) {
        self.viewport.update_value(|viewport| viewport.show(seq, place));
        self.tell_following();
        self.layout();
    }

    /// Marks a frame and lets the address name it; takes the mark away if `None`.
    pub fn mark(self, seq: Option<u64>) {
        self.marked.set(seq);
        self.linked.set_value(None);
        if seq.is_some() && self.follow.state.with_untracked(|state| state.run.status.is_active()) {
            // What one looks at should not run away.
            self.viewport.update_value(Viewport::stay);
            self.tell_following();
        }
        browser::set_hash(&seq.map_or_else(String::new, |seq| format!("f{seq}")));
    }

    /// Marks the row above or below the marked one, and brings it into view.
    pub fn mark_next(self, is_down: bool) {
        let Some(marked) = self.marked.get_untracked() else { return };
        let Some(next) = self.viewport.with_value(|viewport| viewport.next(marked, is_down)) else { return };
        self.mark(Some(next));
        self.viewport.update_value(|viewport| viewport.reveal(next));
        self.layout();
    }

    /// Shows the first row.
    pub fn to_first(self) {
        self.show(1, Align::Top);
    }

    /// Keeps the newest row in view from now on.
    pub fn to_newest(self) {
        self.viewport.update_value(Viewport::follow);
        self.tell_following();
        self.layout();
    }

    /// The list was scrolled.
    pub fn scrolled(self) {
        let Some(scroller) = self.scroller.get_untracked() else { return };
        self.viewport.update_value(|viewport| viewport.scrolled(f64::from(scroller.scroll_top())));
        self.tell_following();
        self.layout();
    }

    fn resize(self) {
        let Some(scroller) = self.scroller.try_get_untracked().flatten() else { return };
        let height = f64::from(scroller.client_height());
        let marked = self.marked.get_untracked();
        self.viewport.try_update_value(|viewport| {
            // The detail of a marked row takes room from the list: not that of the row itself.
            let kept = marked.filter(|&seq| viewport.is_in_view(seq) && !viewport.is_following());
            viewport.resize(height);
            if let Some(seq) = kept {
                viewport.reveal(seq);
            }
        });
        self.layout();
    }

    /// Puts everything in its place after something changed.
    pub fn layout(self) {
        let (Some(scroller), Some(space), Some(block)) =
            (self.scroller.get_untracked(), self.space.get_untracked(), self.block.get_untracked())
        else {
            return;
        };
        let last = self.follow.stats.with_untracked(|stats| stats.last);
        let changed = self.follow.take_changed_rows();
        let marked = self.marked.get_untracked().map(|seq| (seq, self.follow.row_of(seq)));
        let moved = marked.filter(|(seq, row)| seq != row);
        let layout = self.viewport.try_update_value(|viewport| {
            viewport.set_rows(last);
            for (window, rows) in changed {
                let height = |has_height| if has_height { METRICS.row as f32 } else { 0.0 };
                viewport.heights().set(window, rows.into_iter().map(height).collect());
            }
            if let Some((_, row)) = moved.filter(|(seq, _)| self.linked.try_get_value().flatten() == Some(*seq)) {
                viewport.show(row, Align::Middle);
            }
            viewport.layout()
        });
        if let Some((_, row)) = moved {
            self.marked.set(Some(row));
            self.linked.try_set_value(None);
        }
        let Some(layout) = layout else { return };
        browser::set_style(&space, "height", &format!("{}px", layout.height));
        // Not a transform: Chromium does not paint anew what moves together with the scroll position.
        browser::set_style(&block, "top", &format!("{}px", layout.top));
        if let Some(top) = layout.scroll {
            scroller.set_scroll_top(top as i32);
        }
        if self.following.get_untracked() {
            self.seen.try_set(last);
        }
        let rows = untrack(|| self.follow.rows(layout.drawn));
        if self.drawn.with_untracked(|drawn| is_changed(drawn, &rows)) {
            self.drawn.set(rows);
        }
        self.follow.set_visible_rows(layout.visible);
    }

    fn tell_following(self) {
        let following = self.viewport.with_value(Viewport::is_following);
        if self.following.get_untracked() != following {
            self.following.set(following);
            self.seen.set(self.follow.stats.with_untracked(|stats| stats.last));
        }
    }
}

/// The seq that the address names.
pub fn hash_seq() -> Option<u64> {
    browser::hash()?.strip_prefix('f')?.parse().ok()
}

/// Whether these are other rows, or one of them shows another frame.
fn is_changed(drawn: &[Row], rows: &[Row]) -> bool {
    !drawn.iter().map(Row::key).eq(rows.iter().map(Row::key))
}
