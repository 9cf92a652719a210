//! Which rows are visible, and where to draw them. The page reports the element's scroll position and height, and
//! applies [`Viewport::layout`] to the element.

use std::ops::Range;

use super::{Heights, Scale};

/// The list's dimensions, in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metrics {
    /// The estimated height of a row.
    pub row: f64,
    /// How many rows are drawn beyond either edge of the view, so that scrolling shows no blank.
    pub overscan: u64,
    /// The element's padding above and below all rows, together.
    pub padding: f64,
    /// The largest height of an element.
    pub max_height: f64,
}

impl Metrics {
    /// Browsers clip elements that are higher than some 17 million (Firefox) or 33 million pixels (Chromium).
    pub const MAX_HEIGHT: f64 = 10_000_000.0;
}

/// Where in the view a requested row is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Top,
    Middle,
}

/// Where everything is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// The element's height: that of all rows, or the largest allowed.
    pub height: f64,
    /// The position to scroll the element to, if it is not there.
    pub scroll: Option<f64>,
    /// The distance of the drawn rows from the element's top.
    pub top: f64,
    pub drawn: Range<u64>,
    /// The rows that are visible, at least in part.
    pub visible: Range<u64>,
}

/// A list's scroll position, in rows.
///
/// The first visible row is the anchor: it stays in place when heights above it change. The list follows its end until
/// the reader scrolls up, and again once the reader is back there.
#[derive(Clone, Debug, PartialEq)]
pub struct Viewport {
    metrics: Metrics,
    heights: Heights,
    rows: u64,
    /// The view's height.
    height: f64,
    /// The element's scroll position.
    scroll: f64,
    /// The list's scroll position. The same, unless the list is scaled.
    pub(super) top: f64,
    /// The first visible row, and how far its top is above the view's.
    anchor: (u64, f64),
    is_following: bool,
    target: Option<(u64, Align)>,
}

/// A position within this many pixels of the end counts as the end: zoom makes scroll positions fractional.
const NEAR_END: f64 = 4.0;

/// The element may be off its scaled position by this part of its height. While the reader scrolls, it moves as far as
/// the rows do, so that they move evenly.
const MAX_DRIFT: f64 = 0.01;

impl Viewport {
    /// A list that follows its end.
    pub const fn new(metrics: Metrics, rows: u64) -> Self {
        let heights = Heights::new(metrics.row);
        let anchor = (1, 0.0);
        Self { metrics, heights, rows, height: 0.0, scroll: 0.0, top: 0.0, anchor, is_following: true, target: None }
    }

    pub const fn heights(&mut self) -> &mut Heights {
        &mut self.heights
    }

    /// Whether the end is kept in view.
    pub const fn is_following(&self) -> bool {
        self.is_following
    }

    /// The row to show as soon as the list has it.
    pub fn target(&self) -> Option<u64> {
        self.target.map(|(seq, _)| seq)
    }

    /// The element's scroll position before the first layout.
    pub const fn begin(&mut self, scroll: f64) {
        self.scroll = scroll;
    }

    /// The next row below this one, or above it, that has a height.
    pub fn next(&self, seq: u64, is_down: bool) -> Option<u64> {
        let mut seq = seq;
        loop {
            seq = if is_down { seq.checked_add(1)? } else { seq.checked_sub(1)? };
            if !(1..=self.rows).contains(&seq) {
                return None;
            }
            if self.heights.of(seq) > 0.0 {
                return Some(seq);
            }
        }
    }

    pub const fn set_rows(&mut self, rows: u64) {
        self.rows = rows;
    }

    /// Sets the view's height.
    pub const fn resize(&mut self, height: f64) {
        self.height = height;
    }

    /// The total height of all rows.
    fn length(&self) -> f64 {
        self.heights.before(self.rows + 1)
    }

    /// The list's largest scroll position.
    pub(super) fn max_top(&self) -> f64 {
        (self.length() + self.metrics.padding - self.height).max(0.0)
    }

    fn scale(&self) -> Scale {
        let element = self.length().min(self.metrics.max_height) + self.metrics.padding - self.height;
        Scale::new(self.max_top(), element.max(0.0))
    }

    /// A longer step, in pixels, is a drag of the scrollbar, and not scrolling by wheel, key or finger.
    pub(super) fn max_step(&self) -> f64 {
        self.height.max(self.metrics.row) * 4.0
    }

    /// The reader or the page scrolled the element.
    pub fn scrolled(&mut self, scroll: f64) {
        let (before, step) = (self.top, scroll - self.scroll);
        let scale = self.scale();
        self.scroll = scroll;
        if step.abs() >= 1.0 {
            self.target = None;
        }
        self.top = if scale.is_identity() || step.abs() > self.max_step() {
            scale.to_list(scroll)
        } else {
            (before + step).clamp(0.0, self.max_top())
        };
        if self.top >= self.max_top() - NEAR_END {
            self.is_following = true;
        } else if self.top < before - 1.0 {
            // Growth moves nothing up, so only the reader ends following.
            self.is_following = false;
        }
        self.set_anchor();
    }

    /// Stops following: the reader looks at what is visible.
    pub const fn stay(&mut self) {
        self.is_following = false;
    }

    /// Follows the end from now on.
    pub const fn follow(&mut self) {
        self.is_following = true;
        self.target = None;
    }

    /// Shows this row as soon as the list has it.
    pub const fn show(&mut self, seq: u64, place: Align) {
        self.is_following = false;
        self.target = Some((seq, place));
    }

    /// Scrolls this row into view, if it is not.
    pub fn reveal(&mut self, seq: u64) {
        let (start, end) = (self.heights.before(seq), self.heights.before(seq + 1));
        if start < self.top {
            self.move_to(start);
        } else if end > self.top + self.height {
            self.move_to(end - self.height);
        }
    }

    /// Whether all of this row is visible.
    pub fn is_in_view(&self, seq: u64) -> bool {
        self.heights.before(seq) >= self.top && self.heights.before(seq + 1) <= self.top + self.height
    }

    fn move_to(&mut self, top: f64) {
        self.is_following = false;
        self.target = None;
        self.top = top.clamp(0.0, self.max_top());
        self.set_anchor();
    }

    fn set_anchor(&mut self) {
        let seq = self.heights.at(self.top, self.rows).max(1);
        self.anchor = (seq, self.top - self.heights.before(seq));
    }

    /// Computes the layout. Call it after each change.
    pub fn layout(&mut self) -> Layout {
        let max_top = self.max_top();
        let before = self.top;
        match self.target {
            Some((seq, place)) if seq <= self.rows => {
                let above = match place {
                    Align::Top => 0.0,
                    Align::Middle => (self.height - self.heights.of(seq)) / 2.0,
                };
                self.target = None;
                self.top = (self.heights.before(seq) - above).clamp(0.0, max_top);
                self.set_anchor();
            }
            _ if self.is_following => {
                self.top = max_top;
                self.set_anchor();
            }
            _ => {
                let (seq, above) = self.anchor;
                let above = if self.heights.of(seq) > 0.0 { above } else { 0.0 };
                self.top = (self.heights.before(seq) + above).clamp(0.0, max_top);
            }
        }
        let scale = self.scale();
        let scroll = self.element_scroll(scale, (self.top - before).abs()).round();
        let moved = (scroll - self.scroll).abs() >= 1.0;
        if moved {
            self.scroll = scroll;
        }
        let visible = self.visible();
        let drawn = visible.start.saturating_sub(self.metrics.overscan).max(1)
            ..(visible.end + self.metrics.overscan).min(self.rows + 1);
        let drawn = drawn.start..drawn.end.max(drawn.start);
        Layout {
            height: self.length().min(self.metrics.max_height),
            scroll: moved.then_some(self.scroll),
            top: (self.heights.before(drawn.start) + (self.scroll - self.top)).max(0.0),
            drawn,
            visible,
        }
    }

    fn visible(&self) -> Range<u64> {
        let first = self.heights.at(self.top, self.rows).max(1);
        let last = self.heights.at(self.top + (self.height - 1.0).max(0.0), self.rows);
        first..(last + 1).max(first)
    }

    /// The element's position, after the list moved by so much other than by scrolling.
    fn element_scroll(&self, scale: Scale, moved: f64) -> f64 {
        let ideal = scale.to_element(self.top);
        if scale.is_identity() {
            return ideal;
        }
        // Near an end, exactly the remaining rows must be left to scroll.
        let edge = self.max_step() * 2.0;
        let max_scroll = scale.to_element(self.max_top());
        let is_near = |place: f64, max: f64| place < edge || place > max - edge;
        let is_at_edge = is_near(self.scroll, max_scroll) || is_near(self.top, self.max_top());
        let drift = (ideal - self.scroll).abs();
        if is_at_edge || moved > self.max_step() || drift > self.metrics.max_height * MAX_DRIFT {
            ideal
        } else {
            self.scroll
        }
    }
}
