//! A page's copy of a run's journal. All frames go through it, whichever source they come from: the rendered page, the
//! stream, a poll, another tab, or a request for older rows.

use std::ops::Range;

use super::rows::{Budget, Windows};
use super::state::RunState;
use crate::model::attempt::Attempt;
use crate::model::{Cursor, Frame, RunView};

/// What became of an applied frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    Appended,
    /// The page had it already. It is dropped and counted.
    Duplicate,
    /// Frames before it are missing, so it was dropped. Request what comes after this cursor.
    Gap(Cursor),
}

/// Loaded frames that are not the first of the requested rows. None was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the frames must be those from seq {start} on, without a gap")]
pub struct MisplacedRows {
    /// The first requested row.
    pub start: u64,
}

/// The numbers of the page's test ids (docs/CONTRACT.md, "The page").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// How many frames are held.
    pub frames: usize,
    /// The seq of the first one held; one more than `last` if none is.
    pub first: u64,
    /// The last seq: the cursor.
    pub last: u64,
    /// Duplicate frames that were dropped.
    pub dropped: u64,
    /// Seqs that the cursor passed without a frame. Rows that are not loaded, or were trimmed, do not count.
    pub gaps: u64,
}

/// The frames that a page holds, and the state that they add up to.
///
/// The cursor starts at the rendered head, and only the next frame moves it. So a long journal is not streamed from its
/// start: rows are loaded where they are visible.
#[derive(Clone, Debug, PartialEq)]
pub struct PageJournal {
    windows: Windows,
    state: RunState,
    cursor: Cursor,
    /// The cursor that the page started with.
    initial_cursor: Cursor,
    /// How many frames have moved the cursor since.
    appended: u64,
    dropped: u64,
}

impl PageJournal {
    /// The journal as the server rendered it. The cursor starts at the run's head.
    pub fn from_view(view: RunView) -> Self {
        let RunView { run, frames, redraws, at: _, review_counts, earlier, starts } = view;
        let cursor = Cursor(run.head);
        let mut state = RunState { review_counts, earlier, starts, ..RunState::new(run) };
        let mut windows = Windows::default();
        for frame in frames.into_iter().filter(|frame| frame.seq <= cursor.0) {
            state.backfill(&frame);
            windows.insert(frame);
        }
        redraws.into_iter().for_each(|frame| windows.add_redraw(frame));
        Self { windows, state, cursor, initial_cursor: cursor, appended: 0, dropped: 0 }
    }

    /// Appends a frame if it is the next one.
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

    /// Takes requested rows: any number of frames from the first of these seqs on. Frames that are held already are
    /// dropped and counted.
    ///
    /// # Errors
    /// The frames do not start there, are not contiguous, or go beyond the seqs or the cursor.
    pub fn insert(&mut self, seqs: &Range<u64>, frames: Vec<Frame>) -> Result<usize, MisplacedRows> {
        let end = seqs.end.min(self.cursor.0 + 1);
        let in_place = (seqs.start..).zip(&frames).all(|(seq, frame)| frame.seq == seq && seq < end);
        if !in_place {
            return Err(MisplacedRows { start: seqs.start });
        }
        let mut taken = 0;
        for frame in frames {
            self.state.backfill(&frame);
            if self.windows.insert(frame) { taken += 1 } else { self.dropped += 1 }
        }
        Ok(taken)
    }

    /// Adds later frames that redraw requested rows.
    pub fn add_redraws(&mut self, frames: Vec<Frame>) {
        frames.into_iter().for_each(|frame| self.windows.add_redraw(frame));
    }

    /// Drops frames far from these seqs until the rest is within the page's budget. They can be loaded again.
    pub fn trim(&mut self, keep: &Range<u64>) {
        self.windows.trim(keep, Budget::of_journal(self.cursor.0));
    }

    /// See [`Windows::take_changed_rows`].
    pub fn take_changed_rows(&mut self) -> Vec<(u64, Vec<bool>)> {
        self.windows.take_changed_rows()
    }

    pub const fn windows(&self) -> &Windows {
        &self.windows
    }

    /// The run's state as of the cursor.
    pub const fn state(&self) -> &RunState {
        &self.state
    }

    /// The last seq that the page has.
    pub const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// See [`RunState::merge_attempt`].
    pub fn merge_attempt(&mut self, attempt: &Attempt) {
        self.state.merge_attempt(attempt);
    }

    pub fn stats(&self) -> JournalStats {
        JournalStats {
            frames: self.windows.len(),
            first: self.windows.first().unwrap_or(self.cursor.0 + 1),
            last: self.cursor.0,
            dropped: self.dropped,
            gaps: (self.cursor.0 - self.initial_cursor.0).saturating_sub(self.appended),
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

    fn journal(first: u64, head: u64) -> PageJournal {
        PageJournal::from_view(view(head, (first..=head).map(log).collect()))
    }

    fn seqs(journal: &PageJournal) -> Vec<u64> {
        journal.windows().range(0..u64::MAX).map(|frame| frame.seq).collect()
    }

    #[test]
    fn journal_starts_at_cursor_0() {
        let mut journal = journal(1, 0);
        assert_eq!(journal.cursor(), Cursor(0));
        assert_eq!(journal.stats(), JournalStats { first: 1, ..JournalStats::default() });
        assert_eq!(journal.apply(log(2)), Applied::Gap(Cursor(0)));
        assert_eq!(journal.apply(log(1)), Applied::Appended);
        assert_eq!(journal.apply(log(1)), Applied::Duplicate);
        assert_eq!(journal.stats(), JournalStats { frames: 1, first: 1, last: 1, dropped: 1, gaps: 0 });
    }

    #[test]
    fn journal_starts_at_the_head_without_frames() {
        let mut journal = journal(10, 9);
        assert_eq!(journal.cursor(), Cursor(9));
        assert_eq!(journal.apply(log(1)), Applied::Duplicate);
        assert_eq!(journal.apply(log(10)), Applied::Appended);
        assert_eq!(journal.stats().first, 10);
    }

    #[test]
    fn journal_refuses_frames_beyond_a_gap() {
        let mut journal = journal(1, 3);
        assert_eq!(journal.apply(log(5)), Applied::Gap(Cursor(3)));
        assert_eq!(seqs(&journal), [1, 2, 3]);
        assert_eq!(journal.apply(log(4)), Applied::Appended);
        assert_eq!(journal.apply(log(5)), Applied::Appended);
        assert_eq!(journal.stats().gaps, 0);
    }

    #[test]
    fn journal_of_a_linked_frame_streams_from_the_head() {
        let mut journal = PageJournal::from_view(view(1_000_000, (500..700).map(log).collect()));
        assert_eq!((journal.cursor(), seqs(&journal).len()), (Cursor(1_000_000), 200));
        assert_eq!(journal.apply(log(1_000_001)), Applied::Appended);
        let stats = journal.stats();
        assert_eq!(stats, JournalStats { frames: 201, first: 500, last: 1_000_001, dropped: 0, gaps: 0 });
    }

    #[test]
    fn insert_refuses_rows_that_were_not_requested() {
        let mut journal = journal(8, 10);
        let page = |range: std::ops::RangeInclusive<u64>| range.map(log).collect::<Vec<_>>();
        assert_eq!(journal.insert(&(2..8), page(1..=5)), Err(MisplacedRows { start: 2 }));
        assert_eq!(journal.insert(&(4..8), [4, 6, 7].map(log).into()), Err(MisplacedRows { start: 4 }));
        assert_eq!(journal.insert(&(4..6), page(4..=7)), Err(MisplacedRows { start: 4 }));
        assert_eq!(journal.insert(&(9..20), page(9..=12)), Err(MisplacedRows { start: 9 }), "beyond the cursor");
        assert_eq!(seqs(&journal), [8, 9, 10]);
        assert_eq!(journal.insert(&(4..8), vec![]), Ok(0));
        assert_eq!(journal.insert(&(2..8), page(2..=4)), Ok(3), "large rows come fewer at a time");
        assert_eq!(journal.insert(&(4..10), page(4..=9)), Ok(3));
        assert_eq!(journal.stats(), JournalStats { frames: 9, first: 2, last: 10, dropped: 3, gaps: 0 });
    }

    #[test]
    fn trimmed_rows_can_be_loaded_again() {
        let mut journal = journal(1, 60_000);
        journal.trim(&(59_000..59_040));
        let first = journal.stats().first;
        assert!((40_001..45_000).contains(&first) && journal.windows().get(1).is_none());
        assert_eq!(journal.stats().gaps, 0);
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
        /// Sources in any order, with repeats and gaps: each frame is held once, and none is lost.
        #[test]
        fn journal_holds_each_frame_once_in_any_order(
            n in 1u64..120,
            rendered in any::<prop::sample::Index>(),
            shown in 0u64..50,
            stream in arrivals(120),
        ) {
            let head = rendered.index(n as usize + 1) as u64;
            let mut journal = journal(head.saturating_sub(shown) + 1, head);
            let (mut repeated, mut appended) = (0u64, 0u64);
            let mut offer = |journal: &mut PageJournal, seq: u64| {
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
                        let requested = first..end;
                        if requested.end <= journal.cursor().0 + 1 {
                            let taken = journal.insert(&requested, requested.clone().map(log).collect());
                            held_again += (end - first) - taken.unwrap() as u64;
                        }
                    }
                    Arrival::Single(_) => {}
                }
                prop_assert_eq!(journal.stats().gaps, 0);
                prop_assert_eq!(journal.state().run.head, journal.cursor().0);
                prop_assert!(seqs(&journal).is_sorted());
            }
            // The poll from the cursor, and the older rows.
            (journal.cursor().0 + 1..=n).for_each(|seq| offer(&mut journal, seq));
            while let Some(missing) = journal.windows().first_missing(1..n + 1) {
                prop_assert!(journal.insert(&missing, missing.clone().map(log).collect()).is_ok());
            }
            prop_assert_eq!(seqs(&journal), (1..=n).collect::<Vec<_>>());
            let stats = journal.stats();
            prop_assert_eq!((stats.gaps, stats.dropped, stats.last), (0, repeated + held_again, n));
            prop_assert_eq!(appended, n - head);
        }
    }
}
