//! The reducer, the loads and the viewport together, against a server that is slow, fails, and answers in any order.

use std::ops::Range;

use proptest::prelude::*;

use super::super::state::tests::{log, run};
use super::{Budget, LoadState, Loads, Metrics, NEAR_ROWS, Place, Viewport, WINDOW_ROWS};
use crate::feed::{Applied, Journal};
use crate::model::kinds::StatusChange;
use crate::model::{Frame, FramePayload, RunView, Status, Timestamp};

const METRICS: Metrics = Metrics { row: 20.0, overscan: 15, padding: 8.0, max_height: Metrics::MAX_HEIGHT };
const VIEW: f64 = 700.0;

#[derive(Clone, Debug)]
enum Step {
    Wheel(f64),
    Drag(f64),
    Show(f64),
    Follow,
    /// The run prints so many lines, and is then asked for again, or not.
    Print(u64, bool),
    /// The stream delivers what there is, or breaks.
    Connect(bool),
    /// One of the requests is answered with all rows.
    Answer(usize),
    /// One of the requests is answered with a few rows, because they are large.
    AnswerFew(usize, u64),
    Fail(usize),
    Pass(u64),
}

/// A tab.
struct Tab {
    journal: Journal,
    loads: Loads,
    viewport: Viewport,
    scroll: f64,
    visible: Range<u64>,
    requests: Vec<Range<u64>>,
    now_ms: u64,
}

/// The frame that the server has at a seq. Each fifty thousandth is a re-run; of each thousand, a hundred and more draw one row
/// anew.
fn frame(seq: u64) -> Frame {
    if !seq.is_multiple_of(50_000) {
        let mut frame = Frame { attempt: 1 + (seq / 50_000) as u32, ..log(seq) };
        if let FramePayload::Log(log) = &mut frame.payload
            && (301..450).contains(&(seq % 1000))
        {
            log.replaces = Some(seq - seq % 1000 + 300);
        }
        return frame;
    }
    let change = StatusChange { from: Status::Failed, to: Status::Pending, reason: "again".into() };
    let attempt = 1 + (seq / 50_000) as u32;
    Frame { seq, ts: Timestamp(0), attempt, phase: None, payload: FramePayload::Status(change) }
}

impl Tab {
    fn open(head: u64) -> Self {
        let mut run = run();
        (run.head, run.attempt) = (head, 1 + (head / 50_000) as u32);
        let frames = (head.saturating_sub(199).max(1)..=head).map(frame).collect();
        let review_counts = Default::default();
        let view = RunView {
            run,
            frames,
            redraws: Vec::new(),
            at: None,
            review_counts,
            earlier: Vec::new(),
            starts: Default::default(),
        };
        let mut viewport = Viewport::new(METRICS, head);
        viewport.resize(VIEW);
        let mut tab = Self {
            journal: Journal::of(view),
            loads: Loads::default(),
            viewport,
            scroll: 0.0,
            visible: 1..1,
            requests: Vec::new(),
            now_ms: 0,
        };
        tab.update();
        tab
    }

    /// As the page does after each change.
    fn update(&mut self) {
        self.viewport.set_rows(self.journal.cursor().0);
        for (window, rows) in self.journal.take_changed_rows() {
            let heights = rows.into_iter().map(|has_height| if has_height { 20.0 } else { 0.0 });
            self.viewport.heights().set(window, heights.collect());
        }
        let layout = self.viewport.layout();
        if let Some(scroll) = layout.scroll {
            self.scroll = scroll;
        }
        self.visible = layout.visible;
        let kept = self.visible.start.saturating_sub(NEAR_ROWS)..self.visible.end + NEAR_ROWS;
        self.journal.trim(&kept);
        let head = self.journal.cursor().0;
        while let Some(seqs) = self.loads.next(self.journal.windows(), &self.visible, head, self.now_ms) {
            self.requests.push(seqs);
        }
    }

    fn scroll_by(&mut self, scroll: f64) {
        self.scroll = scroll.round();
        self.viewport.scrolled(self.scroll);
    }

    fn take(&mut self, place: usize) -> Option<Range<u64>> {
        (!self.requests.is_empty()).then(|| self.requests.swap_remove(place % self.requests.len()))
    }

    fn answer(&mut self, place: usize, most: u64) {
        let Some(seqs) = self.take(place) else { return };
        let frames: Vec<_> = seqs.clone().take(most as usize).map(frame).collect();
        let count = frames.len() as u64;
        self.journal.insert(&seqs, frames).unwrap();
        self.loads.succeed(&seqs, count);
    }

    fn catch_up(&mut self, head: u64) {
        for seq in self.journal.cursor().0 + 1..=head {
            assert_eq!(self.journal.apply(frame(seq)), Applied::Appended);
            if seq.is_multiple_of(200) {
                self.update();
            }
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let (windows, head) = (self.journal.windows(), self.journal.cursor().0);
        let budget = Budget::of_journal(head);
        prop_assert!(windows.len() <= budget.rows && windows.bytes() <= budget.bytes);
        prop_assert!(self.requests.len() <= 2 && self.requests.len() == self.loads.in_flight());
        prop_assert!(self.requests.iter().all(|seqs| seqs.start >= 1 && seqs.start < seqs.end && seqs.end <= head + 1));
        prop_assert_eq!(self.journal.numbers().gaps, 0);
        Ok(())
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (-3000.0f64..3000.0).prop_map(Step::Wheel),
        3 => (0.0f64..=1.0).prop_map(Step::Drag),
        2 => (0.0f64..1.2).prop_map(Step::Show),
        1 => Just(Step::Follow),
        3 => (0u64..700, prop::bool::weighted(0.1)).prop_map(|(lines, again)| Step::Print(lines, again)),
        2 => any::<bool>().prop_map(Step::Connect),
        6 => (0usize..2).prop_map(Step::Answer),
        2 => (0usize..2, 1u64..9).prop_map(|(place, rows)| Step::AnswerFew(place, rows)),
        2 => (0usize..2).prop_map(Step::Fail),
        2 => (0u64..40_000).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn rows_in_view_are_loaded_in_the_end_and_memory_is_bounded(
        begin in prop_oneof![0u64..500, 500u64..4000, 49_000u64..52_000, 900_000u64..1_100_000],
        steps in steps(),
    ) {
        let mut tab = Tab::open(begin);
        let (mut head, mut is_connected) = (begin, true);
        for step in steps {
            match step {
                Step::Wheel(by) => tab.scroll_by((tab.scroll + by).max(0.0)),
                Step::Drag(to) => tab.scroll_by(to * (tab.journal.cursor().0 as f64 * 20.0).min(METRICS.max_height)),
                Step::Show(at) => {
                    let seq = 1 + (at * tab.journal.cursor().0 as f64) as u64;
                    tab.viewport.show(seq, Place::Middle);
                }
                Step::Follow => tab.viewport.follow(),
                Step::Print(lines, is_again) => {
                    head += lines;
                    // Up to the frame that is a re-run.
                    if is_again && head % 50_000 > 40_000 {
                        head = head.next_multiple_of(50_000);
                    }
                    if is_connected {
                        tab.catch_up(head);
                    }
                }
                Step::Connect(connect) => {
                    is_connected = connect;
                    if connect {
                        tab.catch_up(head);
                        tab.loads.retry();
                    }
                }
                Step::Answer(place) => tab.answer(place, u64::MAX),
                Step::AnswerFew(place, rows) => tab.answer(place, rows),
                Step::Fail(place) => {
                    if let Some(seqs) = tab.take(place) {
                        tab.loads.fail(&seqs, tab.now_ms, 0);
                    }
                }
                Step::Pass(time) => tab.now_ms += time,
            }
            tab.update();
            tab.check()?;
        }

        // The network is back and the reader rests.
        tab.catch_up(head);
        tab.loads.retry();
        tab.update();
        let mut answers = 0;
        while !tab.requests.is_empty() {
            tab.answer(answers, u64::MAX);
            tab.update();
            tab.check()?;
            answers += 1;
            prop_assert!(answers < 120, "requests without end: {:?}", tab.requests);
        }
        let windows = tab.journal.windows();
        prop_assert_eq!(tab.loads.state(windows, &tab.visible, head), LoadState::Complete);
        for seq in tab.visible.clone() {
            prop_assert_eq!(windows.get(seq).map(|held| held.seq), Some(seq));
            let is_hidden = windows.row_of(seq) != seq;
            prop_assert_eq!(tab.viewport.heights().of(seq), if is_hidden { 0.0 } else { 20.0 });
        }
        prop_assert_eq!(tab.journal.numbers().last, head);
        prop_assert_eq!(tab.journal.state().run.attempt, 1 + (head / 50_000) as u32);
        if head <= Budget::WHOLE_ROWS as u64 {
            prop_assert_eq!(windows.len() as u64, head, "a short journal is held whole");
        }
    }

    /// Scrolling through a journal of any length holds no more than a part of it.
    #[test]
    fn scrolling_through_holds_a_part(head in 200_000u64..2_000_000, stride in 1_000.0f64..2_800.0) {
        let mut tab = Tab::open(head);
        tab.viewport.show(1, Place::Top);
        tab.update();
        let mut most = 0;
        for turn in 0..600 {
            while !tab.requests.is_empty() {
                tab.answer(0, u64::MAX);
                tab.update();
            }
            tab.check()?;
            most = most.max(tab.journal.windows().len());
            tab.scroll_by(tab.scroll + if turn % 100 == 99 { 200_000.0 } else { stride });
            tab.update();
        }
        prop_assert!(most <= 20_000 && most as u64 > WINDOW_ROWS);
    }
}
