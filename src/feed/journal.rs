//! The reducer: whatever brings frames (the rendered page, the stream, the poll, another tab, a window of older rows) brings
//! them here.

use std::ops::Range;

use super::RunState;
use super::rows::{Budget, Windows};
use crate::model::attempt::Attempt;
use crate::model::{Cursor, Frame, RunView};

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was the next one.
    Appended,
    /// It was there already. Dropped and counted.
    Duplicate,
    /// Frames before it are missing, so it was not taken: ask for what comes after this cursor.
    Gap(Cursor),
}

/// Loaded frames that are not the first of the rows that were asked for. None was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the frames must be those from seq {wanted} on, without a gap")]
pub struct OutOfPlace {
    /// The first row that was asked for.
    pub wanted: u64,
}

/// What the page's hooks say (CONTRACT.md, "The page").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// How many frames are held.
    pub frames: usize,
    /// The seq of the first one held; one more than `last` if none is.
    pub first: u64,
    /// The last seq: the cursor.
    pub last: u64,
    /// Frames that came again and were thrown away.
    pub dropped: u64,
    /// Seqs that the cursor went past without their frame. Rows that were not loaded, or were let go, are none.
    pub gaps: u64,
}

/// A run as this page has it: the frames it holds, and the state they tell.
///
/// The cursor begins at the head that the server rendered, and only the next frame moves it. So a long journal is not
/// streamed from its beginning: its rows are loaded where the reader looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Journal {
    windows: Windows,
    state: RunState,
    cursor: Cursor,
    /// The cursor that the page began with, and how many frames have moved it since.
    began: Cursor,
    appended: u64,
    dropped: u64,
}

impl Journal {
    /// What the server rendered: the cursor starts at the run's head.
    pub fn of(view: RunView) -> Self {
        let RunView { run, frames, redraws, at: _, review_counts, earlier, starts } = view;
        let cursor = Cursor(run.head);
        let mut state = RunState { review_counts, earlier, starts, ..RunState::of(run) };
        let mut windows = Windows::default();
        for frame in frames.into_iter().filter(|frame| frame.seq <= cursor.0) {
            state.learn(&frame);
            windows.insert(frame);
        }
        redraws.into_iter().for_each(|frame| windows.learn_redraw(frame));
        Self { windows, state, cursor, began: cursor, appended: 0, dropped: 0 }
    }

    /// Takes a frame if it is the next one.
    pub fn apply(&mut self, frame: Frame) -> Applied {
        let cursor = self.cursor;
        if frame.seq <= cursor.0 {
            self.dropped += 1;
            return Applied::Duplicate;
        }
        if frame.seq > cursor.0 + 1 {
            return Applied::Gap(cursor);
        }
        self.cursor = Cursor(frame.seq);
        self.appended += 1;
        self.state.apply(&frame);
        self.windows.insert(frame);
        Applied::Appended
    }

    /// Takes rows that were asked for: frames from the first of these seqs on, as many as there are. Those that are held
    /// already are dropped and counted.
    ///
    /// # Errors
    /// They do not begin there, are not contiguous, or go beyond.
    pub fn insert(&mut self, seqs: &Range<u64>, frames: Vec<Frame>) -> Result<usize, OutOfPlace> {
        let end = seqs.end.min(self.cursor.0 + 1);
        let in_place = (seqs.start..).zip(&frames).all(|(seq, frame)| frame.seq == seq && seq < end);
        if !in_place {
            return Err(OutOfPlace { wanted: seqs.start });
        }
        let mut taken = 0;
        for frame in frames {
            self.state.learn(&frame);
            if self.windows.insert(frame) { taken += 1 } else { self.dropped += 1 }
        }
        Ok(taken)
    }

    /// Learns how rows that were asked for were drawn last, by frames that come after them.
    pub fn learn_redraws(&mut self, frames: Vec<Frame>) {
        frames.into_iter().for_each(|frame| self.windows.learn_redraw(frame));
    }

    /// Drops frames far from these seqs until the rest is within the page's budget; they can be loaded again.
    pub fn trim(&mut self, keep: &Range<u64>) {
        self.windows.trim(keep, Budget::of_journal(self.cursor.0));
    }

    /// See [`Windows::take_changed_rows`].
    pub fn take_changed_rows(&mut self) -> Vec<(u64, Vec<bool>)> {
        self.windows.take_changed_rows()
    }

    /// The frames held.
    pub const fn windows(&self) -> &Windows {
        &self.windows
    }

    /// The run's state as of the cursor.
    pub const fn state(&self) -> &RunState {
        &self.state
    }

    /// The last seq this page has.
    pub const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// See [`RunState::learn_attempt`].
    pub fn learn_attempt(&mut self, attempt: &Attempt) {
        self.state.learn_attempt(attempt);
    }

    /// The numbers for the hooks.
    pub fn numbers(&self) -> Numbers {
        Numbers {
            frames: self.windows.len(),
            first: self.windows.first().unwrap_or(self.cursor.0 + 1),
            last: self.cursor.0,
            dropped: self.dropped,
            gaps: (self.cursor.0 - self.began.0).saturating_sub(self.appended),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::state::tests::{log, run};
    use super::*;
    use crate::model::review::ReviewCounts;

    pub fn view(head: u64, frames: Vec<Frame>) -> RunView {
        let mut run = run();
        run.head = head;
        RunView {
            run,
            frames,
            redraws: Vec::new(),
            at: None,
            review_counts: ReviewCounts::default(),
            earlier: Vec::new(),
            starts: Default::default(),
        }
    }

    fn journal(first: u64, head: u64) -> Journal {
        Journal::of(view(head, (first..=head).map(log).collect()))
    }

    fn seqs(journal: &Journal) -> Vec<u64> {
        journal.windows().range(0..u64::MAX).map(|frame| frame.seq).collect()
    }

    #[test]
    fn an_empty_journal_is_at_cursor_0_and_takes_1() {
        let mut journal = journal(1, 0);
        assert_eq!(journal.cursor(), Cursor(0));
        assert_eq!(journal.numbers(), Numbers { first: 1, ..Numbers::default() });
        assert_eq!(journal.apply(log(2)), Applied::Gap(Cursor(0)));
        assert_eq!(journal.apply(log(1)), Applied::Appended);
        assert_eq!(journal.apply(log(1)), Applied::Duplicate);
        assert_eq!(journal.numbers(), Numbers { frames: 1, first: 1, last: 1, dropped: 1, gaps: 0 });
    }

    #[test]
    fn a_page_that_shows_nothing_of_a_long_journal_is_not_at_cursor_0() {
        let mut journal = journal(10, 9);
        assert_eq!(journal.cursor(), Cursor(9));
        assert_eq!(journal.apply(log(1)), Applied::Duplicate);
        assert_eq!(journal.apply(log(10)), Applied::Appended);
        assert_eq!(journal.numbers().first, 10);
    }

    #[test]
    fn a_gap_is_not_taken() {
        let mut journal = journal(1, 3);
        assert_eq!(journal.apply(log(5)), Applied::Gap(Cursor(3)));
        assert_eq!(seqs(&journal), [1, 2, 3]);
        assert_eq!(journal.apply(log(4)), Applied::Appended);
        assert_eq!(journal.apply(log(5)), Applied::Appended);
        assert_eq!(journal.numbers().gaps, 0);
    }

    #[test]
    fn page_of_a_place_streams_from_the_head() {
        let mut journal = Journal::of(view(1_000_000, (500..700).map(log).collect()));
        assert_eq!((journal.cursor(), seqs(&journal).len()), (Cursor(1_000_000), 200));
        assert_eq!(journal.apply(log(1_000_001)), Applied::Appended);
        let numbers = journal.numbers();
        assert_eq!(numbers, Numbers { frames: 201, first: 500, last: 1_000_001, dropped: 0, gaps: 0 });
    }

    #[test]
    fn rows_that_were_not_asked_for_are_not_taken() {
        let mut journal = journal(8, 10);
        let page = |range: std::ops::RangeInclusive<u64>| range.map(log).collect::<Vec<_>>();
        assert_eq!(journal.insert(&(2..8), page(1..=5)), Err(OutOfPlace { wanted: 2 }));
        assert_eq!(journal.insert(&(4..8), [4, 6, 7].map(log).into()), Err(OutOfPlace { wanted: 4 }));
        assert_eq!(journal.insert(&(4..6), page(4..=7)), Err(OutOfPlace { wanted: 4 }));
        assert_eq!(journal.insert(&(9..20), page(9..=12)), Err(OutOfPlace { wanted: 9 }), "beyond the cursor");
        assert_eq!(seqs(&journal), [8, 9, 10]);
        assert_eq!(journal.insert(&(4..8), vec![]), Ok(0));
        assert_eq!(journal.insert(&(2..8), page(2..=4)), Ok(3), "large rows come fewer at a time");
        assert_eq!(journal.insert(&(4..10), page(4..=9)), Ok(3));
        assert_eq!(journal.numbers(), Numbers { frames: 9, first: 2, last: 10, dropped: 3, gaps: 0 });
    }

    #[test]
    fn what_was_let_go_can_come_back() {
        let mut journal = journal(1, 60_000);
        journal.trim(&(59_000..59_040));
        let first = journal.numbers().first;
        assert!((40_001..45_000).contains(&first) && journal.windows().get(1).is_none());
        assert_eq!(journal.numbers().gaps, 0);
        assert_eq!(journal.insert(&(1..101), (1..101).map(log).collect()), Ok(100));
        assert!(journal.windows().get(1).is_some());
        assert_eq!(journal.apply(log(60_001)), Applied::Appended);
    }

    /// One thing that reaches the reducer.
    #[derive(Clone, Debug)]
    enum Arrival {
        Single(u64),
        Page(u64, u64),
        Rows(u64, u64),
    }

    fn arrivals(n: u64) -> impl Strategy<Value = Vec<Arrival>> {
        let one = prop_oneof![
            4 => (1..=n).prop_map(Arrival::Single),
            4 => (0..n, 1..20u64).prop_map(move |(after, count)| Arrival::Page(after + 1, (after + count).min(n))),
            2 => (1..n, 1..30u64).prop_map(|(first, count)| Arrival::Rows(first, first + count)),
        ];
        prop::collection::vec(one, 0..120)
    }

    proptest! {
        /// Several sources, in any order, with repeats, with gaps: each frame is held once, and nothing is lost.
        #[test]
        fn any_interleaving_ends_with_exactly_1_to_n(
            n in 1u64..120,
            rendered in any::<prop::sample::Index>(),
            shown in 0u64..50,
            stream in arrivals(120),
        ) {
            let head = rendered.index(n as usize + 1) as u64;
            let mut journal = journal(head.saturating_sub(shown) + 1, head);
            let (mut repeated, mut appended) = (0u64, 0u64);
            let mut offer = |journal: &mut Journal, seq: u64| {
                let before = journal.cursor().0;
                let applied = journal.apply(log(seq));
                match applied {
                    Applied::Appended => appended += 1,
                    Applied::Duplicate => repeated += 1,
                    Applied::Gap(cursor) => assert_eq!(cursor, Cursor(before)),
                }
                assert_eq!(applied == Applied::Appended, seq == before + 1);
                assert_eq!(applied == Applied::Duplicate, seq <= before);
            };
            let mut held_again = 0;
            for arrival in stream {
                match arrival {
                    Arrival::Single(seq) if seq <= n => offer(&mut journal, seq),
                    Arrival::Page(from, to) => (from..=to.min(n)).for_each(|seq| offer(&mut journal, seq)),
                    Arrival::Rows(first, end) => {
                        let end = end.min(journal.cursor().0 + 1).max(first);
                        let asked = first..end;
                        if asked.end <= journal.cursor().0 + 1 {
                            let taken = journal.insert(&asked, asked.clone().map(log).collect());
                            held_again += (end - first) - taken.unwrap() as u64;
                        }
                    }
                    Arrival::Single(_) => {}
                }
                prop_assert_eq!(journal.numbers().gaps, 0);
                prop_assert_eq!(journal.state().run.head, journal.cursor().0);
                prop_assert!(seqs(&journal).is_sorted());
            }
            // The refetch from the cursor, and the past.
            (journal.cursor().0 + 1..=n).for_each(|seq| offer(&mut journal, seq));
            while let Some(missing) = journal.windows().first_missing(1..n + 1) {
                prop_assert!(journal.insert(&missing, missing.clone().map(log).collect()).is_ok());
            }
            prop_assert_eq!(seqs(&journal), (1..=n).collect::<Vec<_>>());
            let numbers = journal.numbers();
            prop_assert_eq!((numbers.gaps, numbers.dropped, numbers.last), (0, repeated + held_again, n));
            prop_assert_eq!(appended, n - head);
        }
    }
}
