//! The reducer: whatever brings frames (the rendered page, the stream, the poll, another tab) brings them here.

use std::sync::Arc;

use super::{Held, RunState};
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

/// Older frames that do not end right before the first one held. Nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("older frames must end at seq {wanted}")]
pub struct OutOfPlace {
    /// Where they would have to end.
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
    /// Missing seqs between the first and the last frame held.
    pub gaps: u64,
}

/// A run as this page has it: frames, and the state they tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Journal {
    held: Held,
    state: RunState,
    dropped: u64,
}

impl Journal {
    /// What the server rendered: the cursor starts at the last frame it shows.
    pub fn of(view: RunView) -> Self {
        let RunView { run, frames, tally, earlier } = view;
        let cursor = frames.last().map_or(run.head, |frame| frame.seq);
        let mut held = Held::after(Cursor(cursor));
        let mut progress = Vec::new();
        for frame in frames.into_iter().rev() {
            // What is not contiguous with the newest is older than a gap: it is fetched again in its place.
            if frame.seq + 1 != held.first() {
                break;
            }
            let frame = Arc::new(frame);
            progress.push(Arc::clone(&frame));
            held.push_older(frame);
        }
        let mut state = RunState { tally, earlier, ..RunState::of(run) };
        for frame in progress {
            state.learn_older(&frame);
        }
        Self { held, state, dropped: 0 }
    }

    /// Takes a frame if it is the next one.
    pub fn apply(&mut self, frame: Frame) -> Applied {
        let cursor = self.held.cursor();
        if frame.seq <= cursor.0 {
            self.dropped += 1;
            return Applied::Duplicate;
        }
        if frame.seq > cursor.0 + 1 {
            return Applied::Gap(cursor);
        }
        self.state.apply(&frame);
        self.held.push(Arc::new(frame));
        Applied::Appended
    }

    /// Takes older frames, in order, that end right before the first one held. Those that are held already are dropped
    /// and counted.
    ///
    /// # Errors
    /// They do not end there, or are not contiguous.
    pub fn prepend(&mut self, mut page: Vec<Frame>) -> Result<usize, OutOfPlace> {
        let first = self.held.first();
        let duplicates = page.len() - page.partition_point(|frame| frame.seq < first);
        page.truncate(page.len() - duplicates);
        let contiguous = page.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq);
        let in_place = page.last().is_none_or(|last| last.seq + 1 == first);
        if !contiguous || !in_place {
            return Err(OutOfPlace { wanted: first.saturating_sub(1) });
        }
        self.dropped += duplicates as u64;
        let taken = page.len();
        for frame in page.into_iter().rev() {
            self.state.learn_older(&frame);
            self.held.push_older(Arc::new(frame));
        }
        Ok(taken)
    }

    /// Lets go of the oldest frames until at most `most` are held; they can be fetched again.
    pub fn keep_newest(&mut self, most: usize) {
        self.held.keep_newest(most);
    }

    /// The frames held.
    pub const fn held(&self) -> &Held {
        &self.held
    }

    /// The run's state as of the cursor.
    pub const fn state(&self) -> &RunState {
        &self.state
    }

    /// The last seq this page has.
    pub const fn cursor(&self) -> Cursor {
        self.held.cursor()
    }

    /// See [`RunState::learn_attempt`].
    pub fn learn_attempt(&mut self, attempt: &Attempt) {
        self.state.learn_attempt(attempt);
    }

    /// The numbers for the hooks.
    pub fn numbers(&self) -> Numbers {
        Numbers {
            frames: self.held.len(),
            first: self.held.first(),
            last: self.held.cursor().0,
            dropped: self.dropped,
            gaps: self.held.gaps(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::state::tests::{log, run};
    use super::*;
    use crate::model::review::Tally;

    fn journal(first: u64, head: u64) -> Journal {
        let mut run = run();
        run.head = head;
        Journal::of(RunView {
            run,
            frames: (first..=head).map(log).collect(),
            tally: Tally::default(),
            earlier: Vec::new(),
        })
    }

    fn seqs(journal: &Journal) -> Vec<u64> {
        journal.held().slice(0..usize::MAX).map(|frame| frame.seq).collect()
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
        assert_eq!(journal.held().gaps(), 0);
    }

    #[test]
    fn a_rendered_page_with_a_hole_keeps_what_is_contiguous_with_its_end() {
        let mut run = run();
        run.head = 9;
        let journal = Journal::of(RunView {
            run,
            frames: [1, 2, 7, 8, 9].map(log).into(),
            tally: Tally::default(),
            earlier: Vec::new(),
        });
        assert_eq!(seqs(&journal), [7, 8, 9]);
    }

    #[test]
    fn older_frames_must_fit() {
        let mut journal = journal(8, 10);
        let page = |range: std::ops::RangeInclusive<u64>| range.map(log).collect::<Vec<_>>();
        assert_eq!(journal.prepend(page(1..=5)), Err(OutOfPlace { wanted: 7 }));
        assert_eq!(journal.prepend([4, 6, 7].map(log).into()), Err(OutOfPlace { wanted: 7 }));
        assert_eq!(journal.prepend(vec![]), Ok(0));
        assert_eq!(journal.prepend(page(5..=9)), Ok(3));
        assert_eq!(journal.numbers(), Numbers { frames: 6, first: 5, last: 10, dropped: 2, gaps: 0 });
        assert_eq!(journal.prepend(page(1..=4)), Ok(4));
        assert_eq!(seqs(&journal), (1..=10).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_let_go_can_come_back() {
        let mut journal = journal(1, 10);
        journal.keep_newest(4);
        assert_eq!(seqs(&journal), [7, 8, 9, 10]);
        assert_eq!(journal.held().get(6), None);
        assert_eq!(journal.held().get(7).map(|frame| frame.seq), Some(7));
        assert_eq!(journal.prepend((1..=6).map(log).collect()), Ok(6));
        assert_eq!(seqs(&journal), (1..=10).collect::<Vec<_>>());
        journal.keep_newest(0);
        assert_eq!((journal.cursor(), journal.numbers().first), (Cursor(10), 11));
        assert_eq!(journal.apply(log(11)), Applied::Appended);
    }

    /// One thing that reaches the reducer.
    #[derive(Clone, Debug)]
    enum Arrival {
        Single(u64),
        Page(u64, u64),
        Older(u64),
        Forget(usize),
    }

    fn arrivals(n: u64) -> impl Strategy<Value = Vec<Arrival>> {
        let one = prop_oneof![
            4 => (1..=n).prop_map(Arrival::Single),
            4 => (0..n, 1..20u64).prop_map(move |(after, count)| Arrival::Page(after + 1, (after + count).min(n))),
            2 => (1..30u64).prop_map(Arrival::Older),
            1 => (0..40usize).prop_map(Arrival::Forget),
        ];
        prop::collection::vec(one, 0..120)
    }

    proptest! {
        /// Two sources, in any order, with repeats, with gaps: each frame is held once, in order, and nothing is lost.
        #[test]
        fn any_interleaving_ends_with_exactly_1_to_n(
            n in 1u64..120,
            rendered in any::<prop::sample::Index>(),
            shown in 0u64..50,
            stream in arrivals(120),
        ) {
            let head = rendered.index(n as usize + 1) as u64;
            let mut journal = journal(head.saturating_sub(shown) + 1, head);
            let (mut offered, mut appended) = (0u64, 0u64);
            let mut offer = |journal: &mut Journal, seq: u64| {
                let before = journal.cursor().0;
                let applied = journal.apply(log(seq));
                match applied {
                    Applied::Appended => appended += 1,
                    Applied::Duplicate => offered += 1,
                    Applied::Gap(cursor) => assert_eq!(cursor, Cursor(before)),
                }
                assert_eq!(applied == Applied::Appended, seq == before + 1);
                assert_eq!(applied == Applied::Duplicate, seq <= before);
            };
            for arrival in stream {
                match arrival {
                    Arrival::Single(seq) if seq <= n => offer(&mut journal, seq),
                    Arrival::Page(from, to) => (from..=to.min(n)).for_each(|seq| offer(&mut journal, seq)),
                    Arrival::Older(count) => {
                        let first = journal.numbers().first;
                        let page = (first.saturating_sub(count).max(1)..first).map(log).collect();
                        prop_assert!(journal.prepend(page).is_ok());
                    }
                    Arrival::Forget(most) => journal.keep_newest(most),
                    Arrival::Single(_) => {}
                }
                let held = seqs(&journal);
                prop_assert!(held.windows(2).all(|pair| pair[0] + 1 == pair[1]));
                prop_assert_eq!(held.last().copied().unwrap_or(journal.cursor().0), journal.cursor().0);
                prop_assert_eq!(journal.numbers().gaps, 0);
                prop_assert_eq!(journal.state().run.head, journal.cursor().0);
            }
            // The refetch from the cursor, and the past.
            (journal.cursor().0 + 1..=n).for_each(|seq| offer(&mut journal, seq));
            let older = (1..journal.numbers().first).map(log).collect();
            prop_assert!(journal.prepend(older).is_ok());
            prop_assert_eq!(seqs(&journal), (1..=n).collect::<Vec<_>>());
            let numbers = journal.numbers();
            prop_assert_eq!((numbers.gaps, numbers.dropped, numbers.last), (0, offered, n));
            prop_assert_eq!(appended, n - head);
        }
    }
}
