//! The scroll state of the log: applies the layout of `feed/rows/viewport.rs` to the elements.

use leptos::html;
use leptos::prelude::*;

use crate::browser::{self, ResizeListener};
use crate::feed::rows::{Align, Metrics, Viewport};
use crate::ui::follow::{LiveRun, Row};
use crate::ui::scoped_handle::ScopedHandle;

/// In pixels. The style sheet has the same values (`.row`, and the padding of `.log`).
const METRICS: Metrics = Metrics { row: 20.0, overscan: 15, padding: 8.0, max_height: Metrics::MAX_HEIGHT };

#[derive(Clone, Copy)]
pub struct Scroll {
    follow: LiveRun,
    /// The element that scrolls.
    pub scroller: NodeRef<html::Div>,
    /// As high as all rows together, up to the maximum height of an element.
    pub space: NodeRef<html::Div>,
    /// Contains the rows.
    pub block: NodeRef<html::Div>,
    /// The rows in the document.
    pub drawn: RwSignal<Vec<Row>>,
    /// Whether the newest row is kept in view.
    pub following: RwSignal<bool>,
    /// The head when the newest row was last in view.
    pub seen: RwSignal<u64>,
    /// The seq of the marked row.
    pub marked: RwSignal<Option<u64>>,
    viewport: StoredValue<Viewport>,
    /// The target of the last link followed. Once loaded, it may turn out to be shown in an earlier row.
    linked: StoredValue<Option<u64>>,
    resized: ScopedHandle<ResizeListener>,
}

impl Scroll {
    /// Starts with the rows that the server rendered.
    pub fn new(follow: LiveRun) -> Self {
        let last = follow.stats.with_untracked(|numbers| numbers.last);
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
            resized: ScopedHandle::new(),
        }
    }

    /// Takes over once the elements are mounted.
    pub fn mounted(self) {
        let Some(scroller) = self.scroller.get() else { return };
        self.viewport.update_value(|viewport| viewport.begin(f64::from(scroller.scroll_top())));
        self.go_to_hash();
        if let Some(resized) = ResizeListener::watch(&scroller, move || self.resize()) {
            self.resized.replace(resized);
        }
        self.resize();
    }

    /// Shows the frame in the fragment of the address, if there is one.
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

    /// Puts a frame at the top, unless the fragment of the address names another one.
    pub fn start_at(self, seq: u64) {
        if browser::hash().is_none() {
            self.marked.set(None);
            self.show(seq, Align::Top);
        }
    }

    fn show(self, seq: u64, place: Align) {
        self.viewport.update_value(|viewport| viewport.show(seq, place));
        self.update_following();
        self.layout();
    }

    /// Marks a row and puts it into the address; `None` unmarks.
    pub fn mark(self, seq: Option<u64>) {
        self.marked.set(seq);
        self.linked.set_value(None);
        if seq.is_some() && self.follow.state.with_untracked(|state| state.run.status.is_active()) {
            // Stop following, so that the marked row stays in view.
            self.viewport.update_value(Viewport::stay);
            self.update_following();
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

    /// Follows the newest row.
    pub fn to_newest(self) {
        self.viewport.update_value(Viewport::follow);
        self.update_following();
        self.layout();
    }

    pub fn on_scroll(self) {
        let Some(scroller) = self.scroller.get_untracked() else { return };
        self.viewport.update_value(|viewport| viewport.scrolled(f64::from(scroller.scroll_top())));
        self.update_following();
        self.layout();
    }

    fn resize(self) {
        let Some(scroller) = self.scroller.try_get_untracked().flatten() else { return };
        let height = f64::from(scroller.client_height());
        let marked = self.marked.get_untracked();
        self.viewport.try_update_value(|viewport| {
            // The detail panel of a marked row shrinks the list, and must not hide the row.
            let kept = marked.filter(|&seq| viewport.is_in_view(seq) && !viewport.is_following());
            viewport.resize(height);
            if let Some(seq) = kept {
                viewport.reveal(seq);
            }
        });
        self.layout();
    }

    /// Lays the rows out after a change.
    pub fn layout(self) {
        let (Some(scroller), Some(space), Some(block)) =
            (self.scroller.get_untracked(), self.space.get_untracked(), self.block.get_untracked())
        else {
            return;
        };
        let last = self.follow.stats.with_untracked(|numbers| numbers.last);
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
        // Not a transform: Chromium does not repaint what moves with the scroll position.
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

    fn update_following(self) {
        let following = self.viewport.with_value(Viewport::is_following);
        if self.following.get_untracked() != following {
            self.following.set(following);
            self.seen.set(self.follow.stats.with_untracked(|numbers| numbers.last));
        }
    }
}

/// The seq in the fragment of the address.
pub fn hash_seq() -> Option<u64> {
    browser::hash()?.strip_prefix('f')?.parse().ok()
}

/// Whether the rows or the frames in them differ.
fn is_changed(drawn: &[Row], rows: &[Row]) -> bool {
    !drawn.iter().map(Row::key).eq(rows.iter().map(Row::key))
}
