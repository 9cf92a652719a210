//! The arithmetic of a list that only draws the rows one can see, and the rule by which it follows its end.

use std::ops::Range;

/// What part of a list is in view. All lengths in CSS pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct View {
    /// How far it is scrolled.
    pub top: f64,
    /// How high the view is.
    pub height: f64,
}

/// A list of rows that are all of one height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rows {
    /// A row's height.
    pub height: f64,
    /// How many rows are drawn beyond either edge of the view, so that scrolling shows no blank.
    pub overscan: usize,
}

impl Rows {
    /// The rows to draw of `total`.
    pub fn range(self, view: View, total: usize) -> Range<usize> {
        let whole = |length: f64| if length.is_finite() && length > 0.0 { length as usize } else { 0 };
        let seen = whole((view.height / self.height).ceil()).saturating_add(1);
        let first = whole((view.top / self.height).floor()).min(total.saturating_sub(seen.min(total)));
        let start = first.saturating_sub(self.overscan);
        let end = first.saturating_add(seen).saturating_add(self.overscan).min(total);
        start..end
    }

    /// How high `count` rows are.
    pub fn length(self, count: usize) -> f64 {
        count as f64 * self.height
    }

    /// Where to scroll so that this row stands in the middle of a view of this height.
    pub fn centred(self, row: usize, view_height: f64) -> f64 {
        (self.length(row) - (view_height - self.height) / 2.0).max(0.0)
    }

    /// Where to scroll so that this row is just in view; `None` if it is.
    pub fn revealed(self, row: usize, view: View) -> Option<f64> {
        let (start, end) = (self.length(row), self.length(row + 1));
        if start < view.top {
            Some(start)
        } else if end > view.top + view.height {
            Some(end - view.height)
        } else {
            None
        }
    }
}

/// Whether the list follows its end: it does until the reader scrolls up, and again from when the reader is back there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    following: bool,
    top: f64,
}

impl Default for Tail {
    fn default() -> Self {
        Self { following: true, top: 0.0 }
    }
}

impl Tail {
    /// Within this many pixels of the end counts as there: zoom makes scroll positions fractions.
    const NEAR: f64 = 4.0;

    /// Whether the end is to be kept in view.
    pub const fn following(self) -> bool {
        self.following
    }

    /// The list was scrolled, by the reader or by us. Only going up ends the following: growth moves nothing up.
    pub fn scrolled(&mut self, view: View, length: f64) {
        if view.top + view.height >= length - Self::NEAR {
            self.following = true;
        } else if view.top < self.top - 1.0 {
            self.following = false;
        }
        self.top = view.top;
    }

    /// The reader wants to look at some place.
    pub const fn stay(&mut self) {
        self.following = false;
    }

    /// The reader wants the newest.
    pub const fn resume(&mut self) {
        self.following = true;
    }

    /// The list was moved together with its content, which is no scrolling: rows were put in above.
    pub fn shifted(&mut self, by: f64) {
        self.top += by;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROWS: Rows = Rows { height: 20.0, overscan: 2 };

    fn view(top: f64, height: f64) -> View {
        View { top, height }
    }

    #[test]
    fn draws_what_is_in_view_and_a_little_more() {
        assert_eq!(ROWS.range(view(0.0, 100.0), 1000), 0..8);
        assert_eq!(ROWS.range(view(200.0, 100.0), 1000), 8..18);
        assert_eq!(ROWS.range(view(19_900.0, 100.0), 1000), 992..1000);
        assert_eq!(ROWS.range(view(0.0, 100.0), 3), 0..3);
        assert_eq!(ROWS.range(view(0.0, 0.0), 0), 0..0);
        // Scrolled beyond the end, as when a list got shorter: its last rows.
        assert_eq!(ROWS.range(view(90_000.0, 100.0), 10), 2..10);
    }

    #[test]
    fn a_row_is_brought_into_view() {
        assert_eq!(ROWS.centred(100, 100.0), 1960.0);
        assert_eq!(ROWS.centred(0, 100.0), 0.0);
        assert_eq!(ROWS.revealed(5, view(0.0, 100.0)), Some(20.0));
        assert_eq!(ROWS.revealed(4, view(0.0, 100.0)), None);
        assert_eq!(ROWS.revealed(1, view(40.0, 100.0)), Some(20.0));
    }

    #[test]
    fn follows_until_the_reader_scrolls_up_and_again_at_the_end() {
        let mut follow = Tail::default();
        follow.scrolled(view(900.0, 100.0), 1000.0);
        assert!(follow.following());
        // The list grew; a scroll event comes before we have moved.
        follow.scrolled(view(900.0, 100.0), 1400.0);
        assert!(follow.following());
        follow.scrolled(view(880.0, 100.0), 1400.0);
        assert!(!follow.following());
        follow.scrolled(view(1100.0, 100.0), 1400.0);
        assert!(!follow.following());
        follow.scrolled(view(1297.5, 100.0), 1400.0);
        assert!(follow.following());
    }

    #[test]
    fn rows_put_in_above_are_no_scrolling() {
        let mut follow = Tail::default();
        follow.scrolled(view(900.0, 100.0), 1000.0);
        follow.shifted(2000.0);
        follow.scrolled(view(2900.0, 100.0), 3000.0);
        assert!(follow.following());
        follow.stay();
        assert!(!follow.following());
        follow.resume();
        assert!(follow.following());
    }

    proptest! {
        #[test]
        fn what_is_drawn_exists_and_covers_the_view(
            top in -100.0f64..1e7, height in 0.0f64..5000.0, total in 0usize..300_000,
        ) {
            let range = ROWS.range(view(top, height), total);
            prop_assert!(range.start <= range.end && range.end <= total);
            prop_assert!(range.len() <= (height / ROWS.height) as usize + 3 + 2 * ROWS.overscan);
            let top = top.clamp(0.0, (ROWS.length(total) - height).max(0.0));
            let covered = ROWS.length(range.start) <= top && ROWS.length(range.end) >= (top + height).min(ROWS.length(total));
            prop_assert!(covered, "{range:?}");
        }

        #[test]
        fn no_number_panics(top in any::<f64>(), height in any::<f64>(), total in any::<usize>()) {
            let range = ROWS.range(view(top, height), total);
            prop_assert!(range.start <= range.end && range.end <= total);
        }
    }
}
