//! The viewport on an element that behaves as a browser's.

use proptest::prelude::*;

use super::{Align, Layout, Metrics, Viewport, WINDOW_ROWS};

const METRICS: Metrics = Metrics { row: 20.0, overscan: 15, padding: 8.0, max_height: Metrics::MAX_HEIGHT };

/// An element that scrolls, and the list on it.
struct Page {
    viewport: Viewport,
    rows: u64,
    view: f64,
    content: f64,
    scroll: f64,
    layout: Layout,
}

impl Page {
    fn new(rows: u64, view: f64) -> Self {
        let mut viewport = Viewport::new(METRICS, rows);
        viewport.resize(view);
        let layout = viewport.layout();
        let mut page = Self { viewport, rows, view, content: 0.0, scroll: 0.0, layout };
        page.draw();
        page
    }

    fn max_scroll(&self) -> f64 {
        (self.content + METRICS.padding - self.view).max(0.0)
    }

    /// Applies the layout to the element. The browser then reports its scroll position.
    fn apply(&mut self) {
        self.layout = self.viewport.layout();
        self.draw();
    }

    fn draw(&mut self) {
        self.content = self.layout.height;
        let before = self.scroll;
        self.scroll = self.layout.scroll.unwrap_or(self.scroll).clamp(0.0, self.max_scroll()).trunc();
        if self.scroll != before {
            self.viewport.scrolled(self.scroll);
            self.layout = Layout { scroll: None, ..self.viewport.layout() };
        }
    }

    /// The reader scrolls the element.
    fn scroll_to(&mut self, scroll: f64) {
        self.scroll = scroll.clamp(0.0, self.max_scroll()).trunc();
        self.viewport.scrolled(self.scroll);
        self.apply();
    }

    /// How far a drawn row is from the view's top.
    fn offset(&mut self, seq: u64) -> f64 {
        let heights = self.viewport.heights();
        self.layout.top + heights.before(seq) - heights.before(self.layout.drawn.start) - self.scroll
    }

    fn first(&self) -> u64 {
        self.layout.visible.start
    }

    /// The rows that are drawn cover the view, and no more rows are drawn than it needs.
    fn check(&mut self) -> Result<(), TestCaseError> {
        let drawn = self.layout.drawn.clone();
        prop_assert!(drawn.start >= 1 && drawn.end <= self.rows + 1, "{:?}", self.layout);
        let (start, end) = (self.offset(drawn.start), self.offset(drawn.end));
        prop_assert!(start <= 0.5, "blank above: {start} in {:?}", self.layout);
        let is_covered = end >= self.view - METRICS.padding - 1.0 || drawn.end == self.rows + 1;
        prop_assert!(is_covered, "blank below: {end} of {} in {:?}", self.view, self.layout);
        if drawn.end == self.rows + 1 && self.max_scroll() > 0.0 {
            prop_assert!(end >= self.view - METRICS.padding - 1.5, "the end is too high: {end} in {:?}", self.layout);
        }
        prop_assert!(self.layout.top >= 0.0 && self.content <= METRICS.max_height);
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Step {
    Wheel(f64),
    Drag(f64),
    Grow(u64),
    Show(f64, bool),
    Follow,
    Resize(f64),
    /// In the window at this part of the list, one in so many rows has a height.
    Heights(f64, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (-900.0f64..900.0).prop_map(|by| Step::Wheel(by.round())),
        2 => (0.0f64..=1.0).prop_map(Step::Drag),
        1 => (0u64..3000).prop_map(Step::Grow),
        1 => (0.0f64..1.0, any::<bool>()).prop_map(|(at, top)| Step::Show(at, top)),
        1 => Just(Step::Follow),
        1 => (100.0f64..1200.0).prop_map(|height| Step::Resize(height.round())),
        2 => (0.0f64..1.0, 1u64..5).prop_map(|(at, every)| Step::Heights(at, every)),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn viewport_keeps_visible_rows_in_place(
        rows in prop_oneof![1u64..200, 1u64..5000, 400_000u64..600_000, 1_000_000u64..3_000_000],
        view in 200.0f64..900.0,
        steps in steps(),
    ) {
        let mut page = Page::new(rows, view.round());
        page.check()?;
        for step in steps {
            let (first, list_max) = (page.first(), page.viewport.max_top());
            let (offset, top) = (page.offset(first), page.viewport.top);
            let was_following = page.viewport.is_following();
            match step {
                Step::Wheel(by) if page.max_scroll() > 0.0 => {
                    let by = by.clamp(-page.viewport.max_step(), page.viewport.max_step()).trunc();
                    page.scroll_to(page.scroll + by);
                    let expected = (top + by).clamp(0.0, list_max);
                    prop_assert!((page.viewport.top - expected).abs() < 20.0, "{} by {by}: {}", top, page.viewport.top);
                }
                Step::Wheel(_) => {}
                Step::Drag(to) => page.scroll_to(to * page.max_scroll()),
                Step::Grow(by) => {
                    page.rows += by;
                    page.viewport.set_rows(page.rows);
                    page.apply();
                }
                Step::Show(at, is_top) => {
                    let seq = 1 + (at * page.rows as f64) as u64;
                    page.viewport.show(seq, if is_top { Align::Top } else { Align::Middle });
                    page.apply();
                    let hidden = page.viewport.heights().of(seq) == 0.0;
                    prop_assert!(hidden || page.layout.visible.contains(&seq), "{seq} in {:?}", page.layout);
                    prop_assert_eq!(page.viewport.target(), None);
                }
                Step::Follow => {
                    page.viewport.follow();
                    page.apply();
                    prop_assert!((page.viewport.top - page.viewport.max_top()).abs() < 1.5);
                }
                Step::Resize(height) => {
                    page.view = height;
                    page.viewport.resize(height);
                    page.apply();
                }
                Step::Heights(at, every) => {
                    let window = (at * page.rows as f64) as u64 / WINDOW_ROWS;
                    let heights = (0..WINDOW_ROWS).map(|row| if row % every == 0 { 20.0 } else { 0.0 }).collect();
                    page.viewport.heights().set(window, heights);
                    page.apply();
                }
            }
            page.check()?;
            let list_moves = matches!(step, Step::Grow(_) | Step::Heights(..));
            if list_moves && was_following {
                prop_assert!(page.viewport.is_following() && page.layout.visible.end == page.rows + 1);
            } else if list_moves && page.viewport.heights().of(first) > 0.0 {
                // Unless there is no more to scroll by.
                let moved = (page.offset(first) - offset).abs();
                let is_at_end = page.viewport.top <= 0.0 || page.viewport.top >= page.viewport.max_top() - 1.0;
                prop_assert!(moved < 1.5 || is_at_end, "row {first} moved by {moved}");
            }
        }
    }

    /// From anywhere the wheel reaches both ends, and moves the list as far as itself.
    #[test]
    fn viewport_reaches_both_ends_by_wheel(
        rows in 1_000_000u64..3_000_000, from in 0.0f64..=1.0, near in 1u64..20_000, is_up: bool,
    ) {
        let mut page = Page::new(rows, 700.0);
        page.scroll_to(from * page.max_scroll());
        // A long way by wheel first, so that the element is off the scaled position.
        (0..200).for_each(|_| page.scroll_to(page.scroll + if is_up { 2000.0 } else { -2000.0 }));
        page.viewport.show(if is_up { near } else { rows - near }, Align::Top);
        page.apply();
        for _ in 0..400 {
            let before = page.viewport.top;
            page.scroll_to(page.scroll + if is_up { -1500.0 } else { 1500.0 });
            let expected = (before + if is_up { -1500.0 } else { 1500.0 }).clamp(0.0, page.viewport.max_top());
            prop_assert!((page.viewport.top - expected).abs() < 20.0);
            page.check()?;
        }
        if is_up {
            prop_assert_eq!((page.viewport.top, page.scroll, page.first()), (0.0, 0.0, 1));
        } else {
            prop_assert!(page.viewport.is_following());
            prop_assert!((page.scroll - page.max_scroll()).abs() < 1.5);
            prop_assert_eq!(page.layout.visible.end, rows + 1);
        }
    }
}

#[test]
fn viewport_follows_until_the_reader_scrolls_up() {
    let mut page = Page::new(1000, 500.0);
    assert!(page.viewport.is_following() && page.layout.visible.contains(&1000));
    page.rows = 1100;
    page.viewport.set_rows(1100);
    // A scroll event comes before the page has moved.
    page.viewport.scrolled(page.scroll);
    assert!(page.viewport.is_following());
    page.apply();
    assert!(page.layout.visible.contains(&1100));
    page.scroll_to(page.scroll - 100.0);
    assert!(!page.viewport.is_following());
    page.scroll_to(page.scroll + 50.0);
    assert!(!page.viewport.is_following());
    page.scroll_to(page.scroll + 49.0);
    assert!(page.viewport.is_following());
}

#[test]
fn viewport_shows_a_future_row_once_it_exists() {
    let mut page = Page::new(100, 500.0);
    page.viewport.show(5000, Align::Middle);
    page.apply();
    assert_eq!((page.viewport.target(), page.viewport.is_following()), (Some(5000), false));
    page.rows = 6000;
    page.viewport.set_rows(6000);
    page.apply();
    assert!(page.layout.visible.contains(&5000) && page.viewport.target().is_none());
}

#[test]
fn viewport_reveals_only_hidden_rows() {
    let mut page = Page::new(1000, 500.0);
    page.viewport.show(500, Align::Top);
    page.apply();
    let before = page.layout.clone();
    page.viewport.reveal(510);
    page.apply();
    assert_eq!(Layout { scroll: None, ..page.layout.clone() }, Layout { scroll: None, ..before });
    page.viewport.reveal(499);
    page.apply();
    assert_eq!(page.first(), 499);
    page.viewport.reveal(600);
    page.apply();
    assert!(page.viewport.is_in_view(600) && !page.viewport.is_in_view(601));
}
