//! Redrawn rows: a frame that replaces an earlier one shows in that frame's row, and its own row has no height.
//!
//! If the replaced frame is not loaded, the first loaded frame that replaces it has the row.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::WINDOW_ROWS;

/// Which of the loaded frames share a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Redraws {
    /// By the seq of the frame that is replaced: whether it is loaded, and the loaded frames that replace it.
    rows: BTreeMap<u64, (bool, BTreeSet<u64>)>,
    /// By the seq of a loaded frame that replaces another: that one.
    replaced: BTreeMap<u64, u64>,
    /// Windows in which the heights of rows may have changed.
    changed: BTreeSet<u64>,
}

impl Redraws {
    /// A frame was loaded that replaces `replaced`.
    pub fn insert(&mut self, seq: u64, replaced: u64, is_replaced_loaded: bool) {
        let before = self.row_of_group(replaced);
        let group = self.rows.entry(replaced).or_default();
        group.0 = is_replaced_loaded;
        group.1.insert(seq);
        self.replaced.insert(seq, replaced);
        self.touch(before.into_iter().chain([seq, replaced]));
    }

    /// A frame that others may replace was loaded or dropped.
    pub fn set_loaded(&mut self, seq: u64, is_loaded: bool) {
        let before = self.row_of_group(seq);
        if let Some(group) = self.rows.get_mut(&seq) {
            group.0 = is_loaded;
            let after = self.row_of_group(seq);
            self.touch([seq].into_iter().chain(before).chain(after));
        }
    }

    /// A frame was dropped.
    pub fn remove(&mut self, seq: u64) {
        self.set_loaded(seq, false);
        let Some(replaced) = self.replaced.remove(&seq) else { return };
        if let Some(group) = self.rows.get_mut(&replaced) {
            group.1.remove(&seq);
            if group.1.is_empty() {
                self.rows.remove(&replaced);
            }
        }
        let after = self.row_of_group(replaced);
        self.touch([seq, replaced].into_iter().chain(after));
    }

    fn touch(&mut self, seqs: impl IntoIterator<Item = u64>) {
        self.changed.extend(seqs.into_iter().map(|seq| seq.saturating_sub(1) / WINDOW_ROWS));
    }

    fn row_of_group(&self, replaced: u64) -> Option<u64> {
        let (is_loaded, frames) = self.rows.get(&replaced)?;
        if *is_loaded { Some(replaced) } else { frames.first().copied() }
    }

    /// The row in which a loaded frame shows.
    pub fn row_of(&self, seq: u64) -> u64 {
        self.replaced.get(&seq).and_then(|replaced| self.row_of_group(*replaced)).unwrap_or(seq)
    }

    /// The frame that shows in a row: the last loaded one. `None` if the row has no height.
    pub fn shown_in(&self, row: u64) -> Option<u64> {
        if self.row_of(row) != row {
            return None;
        }
        let replaced = self.replaced.get(&row).copied().unwrap_or(row);
        // A row that is not loaded shows nothing: its redraws show in the row of the first of them.
        let group = self.rows.get(&replaced).filter(|(is_loaded, _)| *is_loaded || row != replaced);
        let last = group.and_then(|(_, frames)| frames.last().copied());
        Some(last.unwrap_or(row))
    }

    /// The windows in which the heights of rows may have changed since the last call.
    pub fn take_changed(&mut self) -> BTreeSet<u64> {
        std::mem::take(&mut self.changed)
    }

    /// Those of these rows that have no height.
    pub fn hidden(&self, rows: Range<u64>) -> impl Iterator<Item = u64> {
        self.replaced.range(rows).map(|(seq, _)| *seq).filter(|seq| self.row_of(*seq) != *seq)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn redraws_show_the_last_frame_in_the_first_row() {
        let mut redraws = Redraws::default();
        redraws.insert(7, 5, true);
        redraws.insert(9, 5, true);
        assert_eq!([5, 7, 9, 6].map(|row| redraws.shown_in(row)), [Some(9), None, None, Some(6)]);
        redraws.remove(9);
        assert_eq!([5, 7, 9].map(|row| redraws.shown_in(row)), [Some(7), None, Some(9)]);
    }

    #[test]
    fn redraws_keep_a_row_without_the_replaced_frame() {
        let mut redraws = Redraws::default();
        redraws.insert(9, 5, false);
        redraws.insert(7, 5, false);
        assert_eq!([7, 9].map(|row| redraws.shown_in(row)), [Some(9), None]);
        redraws.set_loaded(5, true);
        assert_eq!([5, 7, 9].map(|row| redraws.shown_in(row)), [Some(9), None, None]);
        redraws.remove(5);
        assert_eq!([7, 9].map(|row| redraws.shown_in(row)), [Some(9), None]);
    }

    proptest! {
        /// Loaded and dropped in any order: each group has one row, which shows its last frame, and changed windows are
        /// reported.
        #[test]
        fn redraws_have_one_row_for_each_group(steps in prop::collection::vec((1u64..2000, any::<bool>()), 1..120)) {
            // Each frame replaces the first of its hundred.
            let replaced = |seq: u64| seq - seq % 100;
            let mut redraws = Redraws::default();
            let mut loaded = BTreeSet::new();
            let mut hidden = BTreeSet::new();
            for (seq, loads) in steps {
                let root = replaced(seq);
                if loads && loaded.insert(seq) {
                    if root == seq { redraws.set_loaded(seq, true) } else { redraws.insert(seq, root, loaded.contains(&root)) }
                } else if !loads && loaded.remove(&seq) {
                    redraws.remove(seq);
                }
                let now: BTreeSet<u64> = redraws.hidden(0..u64::MAX).collect();
                let changed = redraws.take_changed();
                for seq in now.symmetric_difference(&hidden) {
                    prop_assert!(changed.contains(&((seq - 1) / WINDOW_ROWS)), "{seq}");
                }
                hidden = now;
            }
            for group in 0..20 {
                let members: Vec<u64> = loaded.range(group * 100..group * 100 + 100).copied().collect();
                for seq in &members {
                    let expected = (Some(seq) == members.first()).then(|| members[members.len() - 1]);
                    prop_assert_eq!(redraws.shown_in(*seq), expected);
                    prop_assert_eq!(redraws.row_of(*seq), members[0]);
                }
            }
        }
    }
}
