//! What windows hold, miss and drop.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::state::tests::log;
use super::windows::*;
use crate::model::{Frame, FramePayload};

fn windows(seqs: impl IntoIterator<Item = u64>) -> Windows {
    let mut windows = Windows::default();
    seqs.into_iter().for_each(|seq| assert!(windows.insert(log(seq))));
    windows
}

#[test]
fn windows_hold_each_seq_once() {
    let mut held = windows([3, 700, 1]);
    assert!(!held.insert(log(3)) && !held.insert(log(0)));
    assert_eq!((held.len(), held.first()), (3, Some(1)));
    assert_eq!(held.range(1..1000).map(|frame| frame.seq).collect::<Vec<_>>(), [1, 3, 700]);
    assert_eq!(held.range(2..700).map(|frame| frame.seq).collect::<Vec<_>>(), [3]);
    assert_eq!(held.get(2), None);
}

fn redraw(seq: u64, replaced: u64) -> Frame {
    let mut frame = log(seq);
    if let FramePayload::Log(log) = &mut frame.payload {
        log.replaces = Some(replaced);
    }
    frame
}

#[test]
fn redrawn_rows_show_their_last_frame_and_take_no_more_rows() {
    let mut held = windows([5]);
    held.insert(redraw(7, 5));
    held.insert(redraw(1200, 5));
    let shown = |held: &Windows, row| held.shown_in(row).map(|frame| frame.seq);
    assert_eq!((shown(&held, 5), held.row_of(7), held.row_of(1200)), (Some(1200), 5, 5));
    let hidden = |held: &mut Windows| {
        let rows = held.take_changed_rows().into_iter().flat_map(|(window, rows)| {
            (window * WINDOW_ROWS + 1..).zip(rows).filter(|(_, has_height)| !has_height).map(|(seq, _)| seq)
        });
        rows.collect::<Vec<_>>()
    };
    assert_eq!(hidden(&mut held), [7, 1200]);
    // Far from the first window, its rows are let go: then the row of the last frame is its own.
    held.trim(&(1200..1201), Budget { rows: 1, bytes: usize::MAX });
    assert_eq!((shown(&held, 5), shown(&held, 1200), held.row_of(1200)), (None, Some(1200), 1200));
    assert_eq!(hidden(&mut held), Vec::<u64>::new());
    held.insert(log(5));
    assert_eq!((shown(&held, 5), hidden(&mut held)), (Some(1200), vec![1200]));
}

#[test]
fn row_shows_its_newest_redraw_though_that_is_far_away() {
    let shown = |held: &Windows, row| held.shown_in(row).map(|frame| frame.seq);
    let mut held = windows(1..=20);
    held.learn_redraw(redraw(90_000, 5));
    assert_eq!((shown(&held, 5), held.len(), held.get(90_000)), (Some(90_000), 20, None));
    held.learn_redraw(redraw(80_000, 5));
    assert_eq!(shown(&held, 5), Some(90_000), "an older one changes nothing");
    held.insert(redraw(25, 5));
    assert_eq!((shown(&held, 5), held.row_of(25)), (Some(90_000), 5), "nor does an older one that is held");
    held.insert(redraw(95_000, 5));
    held.trim(&(1..20), Budget { rows: 21, bytes: usize::MAX });
    assert_eq!((held.get(95_000), shown(&held, 5)), (None, Some(95_000)), "known, though it was let go");
    // Rows that are let go forget it; they are told again when they are loaded.
    held.trim(&(10..20), Budget { rows: 10, bytes: usize::MAX });
    assert_eq!(shown(&held, 5), None);
    held.insert(log(5));
    assert_eq!(shown(&held, 5), Some(5));
    held.learn_redraw(redraw(95_000, 6));
    assert_eq!(shown(&held, 6), None, "of a row that is not held nothing is known");
}

#[test]
fn windows_far_from_the_view_are_dropped_first() {
    let mut held = windows(1..=5000);
    held.trim(&(2100..2140), Budget { rows: 1500, bytes: usize::MAX });
    let seqs: Vec<_> = held.range(1..6000).map(|frame| frame.seq).collect();
    assert_eq!((seqs.first(), seqs.last(), seqs.len()), (Some(&1501), Some(&3000), 1500));
    held.trim(&(4990..5000), Budget { rows: 10, bytes: usize::MAX });
    assert!(held.is_empty(), "the view's own rows are not held, so nothing is worth keeping");
}

#[test]
fn rows_around_the_view_are_dropped_when_they_alone_are_too_large() {
    let mut held = windows(1..=1000);
    held.trim(&(490..511), Budget { rows: usize::MAX, bytes: 10 });
    assert_eq!(held.range(1..2000).map(|frame| frame.seq).collect::<Vec<_>>(), (490..511).collect::<Vec<_>>());
}

proptest! {
    /// Against a set of seqs.
    #[test]
    fn windows_know_what_is_missing(
        steps in prop::collection::vec((1u64..2600, 1u64..700, any::<bool>()), 1..12),
        from in 0u64..2600, length in 0u64..2600, rows in 1usize..3000,
    ) {
        let (mut held, mut known) = (Windows::default(), BTreeSet::new());
        for (start, count, trims) in steps {
            for seq in start..start + count {
                prop_assert_eq!(held.insert(log(seq)), known.insert(seq));
            }
            if trims {
                let keep = start..start + count.min(10);
                held.trim(&keep, Budget { rows, bytes: usize::MAX });
                prop_assert!(held.len() <= rows.max(2 * WINDOW_ROWS as usize));
                let left: BTreeSet<_> = held.range(0..u64::MAX).map(|frame| frame.seq).collect();
                prop_assert!(left.is_subset(&known));
                prop_assert!(keep.clone().all(|seq| left.contains(&seq)));
                known = left;
            }
        }
        prop_assert_eq!(held.len(), known.len());
        prop_assert_eq!(held.first(), known.first().copied());
        let asked = from..from + length;
        let missing: Vec<_> = asked.clone().filter(|seq| *seq > 0 && !known.contains(seq)).collect();
        let first = held.first_missing(asked.clone());
        let last = held.last_missing(asked.clone());
        prop_assert_eq!(first.as_ref().map(|run| run.start), missing.first().copied());
        prop_assert_eq!(last.as_ref().map(|run| run.end - 1), missing.last().copied());
        for run in [first, last].into_iter().flatten() {
            prop_assert!(run.clone().all(|seq| missing.contains(&seq)));
            prop_assert!(run.start == asked.start.max(1) || known.contains(&(run.start - 1)));
            prop_assert!(run.end == asked.end || known.contains(&run.end));
        }
    }
}
