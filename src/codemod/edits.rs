//! Replacements in a text: which of them can be applied together, and the result. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

/// The replacement of a range of bytes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Edit {
    /// In bytes of the original text.
    pub range: Range<usize>,
    /// The replacement.
    pub text: String,
}

/// Edits that can be applied together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// By their start; they do not overlap.
    applied: BTreeMap<usize, Edit>,
    /// The first edit of each dropped fix, and the applied edit that it overlaps with.
    pub dropped: Vec<(Edit, Edit)>,
}

impl Edits {
    /// Chooses among fixes that overlap: the first one wins, and of those with the same start the longest, so that
    /// outer matches win over nested ones. A fix is a list of edits in the order of their places, which is applied as a
    /// whole or not at all. Equal edits of several fixes are applied once and do not count as an overlap.
    pub fn choose(mut fixes: Vec<Vec<Edit>>) -> Self {
        fixes.retain(|fix| !fix.is_empty());
        let place = |fix: &Vec<Edit>| fix.first().map(|edit| (edit.range.start, Reverse(edit.range.end)));
        let texts = |fix: &Vec<Edit>| fix.iter().map(|edit| edit.text.clone()).collect::<Vec<_>>();
        fixes.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| texts(a).cmp(&texts(b))));
        let mut edits = Self::default();
        for mut fix in fixes {
            match fix.iter().find_map(|edit| edits.overlapping(edit)) {
                Some(applied) => {
                    let applied = applied.clone();
                    edits.dropped.push((fix.swap_remove(0), applied));
                }
                None => edits.applied.extend(fix.into_iter().map(|edit| (edit.range.start, edit))),
            }
        }
        edits
    }

    /// An applied edit that overlaps with this one.
    fn overlapping(&self, edit: &Edit) -> Option<&Edit> {
        let before = self.applied.range(..=edit.range.start).next_back().map(|(_, applied)| applied);
        let after = self.applied.range(edit.range.start + 1..).next().map(|(_, applied)| applied);
        let overlaps = |applied: &&Edit| match applied.range.start <= edit.range.start {
            true => *applied != edit && overlap(&applied.range, &edit.range),
            false => overlap(&edit.range, &applied.range),
        };
        before.into_iter().chain(after).find(overlaps)
    }

    /// The applied edits, in the order of their places.
    pub fn applied(&self) -> impl DoubleEndedIterator<Item = &Edit> {
        self.applied.values()
    }

    /// Maps a range of the original text to the new one. A replaced part maps to its replacement.
    pub fn moved(&self, range: &Range<usize>) -> Range<usize> {
        let (mut start, mut end) = (range.start, range.end);
        // The bytes added and removed so far.
        let (mut added, mut removed) = (0, 0);
        for edit in self.applied() {
            let (from, to) = (edit.range.start + added - removed, edit.range.start + added - removed + edit.text.len());
            if edit.range.end <= range.start && edit.range != *range {
                start = range.start + added + edit.text.len() - removed - edit.range.len();
            } else if edit.range.start < range.start {
                start = from;
            }
            if edit.range.end <= range.end {
                end = range.end + added + edit.text.len() - removed - edit.range.len();
            } else if edit.range.start < range.end {
                end = to;
            }
            added += edit.text.len();
            removed += edit.range.len();
        }
        start..end.max(start)
    }

    /// The new text. `None` if an edit is outside the text or splits a character.
    pub fn apply(&self, text: &str) -> Option<String> {
        let added: usize = self.applied().map(|edit| edit.text.len()).sum();
        let mut out = String::with_capacity(text.len() + added);
        let mut from = 0;
        for edit in self.applied() {
            out.push_str(text.get(from..edit.range.start)?);
            out.push_str(&edit.text);
            from = edit.range.end;
        }
        out.push_str(text.get(from..)?);
        Some(out)
    }
}

/// Whether the second range, which does not begin before the first, overlaps with it. Two insertions at one place
/// overlap too, since their order is undefined.
fn overlap(first: &Range<usize>, second: &Range<usize>) -> bool {
    second.start < first.end || second.start == first.start
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn edit(range: Range<usize>, text: &str) -> Edit {
        Edit { range, text: text.to_owned() }
    }

    fn choose(all: Vec<Edit>) -> Edits {
        Edits::choose(all.into_iter().map(|edit| vec![edit]).collect())
    }

    fn applied(edits: &Edits) -> Vec<Edit> {
        edits.applied().cloned().collect()
    }

    #[test]
    fn outer_edits_win_over_nested_ones() {
        let edits = choose(vec![edit(4..5, "B"), edit(2..9, "A"), edit(9..10, "C"), edit(2..4, "D")]);
        assert_eq!(applied(&edits), [edit(2..9, "A"), edit(9..10, "C")]);
        assert_eq!(edits.dropped, [(edit(2..4, "D"), edit(2..9, "A")), (edit(4..5, "B"), edit(2..9, "A"))]);
        assert_eq!(edits.apply("0123456789x").unwrap(), "01ACx");
    }

    #[test]
    fn equal_edits_are_applied_once() {
        let edits = choose(vec![edit(0..1, "a"), edit(0..1, "a"), edit(0..1, "b"), edit(1..1, "i")]);
        assert_eq!(applied(&edits), [edit(0..1, "a"), edit(1..1, "i")]);
        assert_eq!(edits.dropped, [(edit(0..1, "b"), edit(0..1, "a"))]);
    }

    /// The second fix shares an import with the first; one edit of the third overlaps.
    #[test]
    fn fixes_are_applied_as_a_whole_or_not_at_all() {
        let import = edit(0..0, "use x;");
        let edits = Edits::choose(vec![
            vec![import.clone(), edit(4..6, "A")],
            vec![import.clone(), edit(8..9, "B")],
            vec![edit(3..4, "C"), edit(5..5, "D")],
        ]);
        assert_eq!(applied(&edits), [import, edit(4..6, "A"), edit(8..9, "B")]);
        assert_eq!(edits.dropped, [(edit(3..4, "C"), edit(4..6, "A"))]);
        assert_eq!(edits.apply("0123456789").unwrap(), "use x;0123A67B9");
    }

    #[test]
    fn edits_outside_the_text_are_not_applied() {
        assert_eq!(choose(vec![edit(1..2, "x")]).apply("ä"), None);
        assert_eq!(choose(vec![edit(1..9, "x")]).apply("ab"), None);
    }

    #[test]
    fn ranges_are_mapped_to_the_new_text() {
        let edits = choose(vec![edit(2..4, "LONG"), edit(6..6, "I"), edit(8..9, "")]);
        // 01LONG45I67 9
        assert_eq!(edits.apply("0123456789").unwrap(), "01LONG45I679");
        for (range, moved) in
            [(0..1, 0..1), (2..4, 2..6), (3..5, 2..7), (4..6, 6..9), (5..8, 7..11), (9..10, 11..12), (8..9, 11..11)]
        {
            assert_eq!(edits.moved(&range), moved, "{range:?}");
        }
    }

    proptest! {
        /// Every fix is applied or dropped as a whole, applied edits do not overlap, and the text is the same as when
        /// they are applied one by one from the end.
        #[test]
        fn edits_together_equal_edits_one_by_one(
            text in "[a-z]{0,20}",
            places in prop::collection::vec(prop::collection::vec((0usize..=20, 0usize..=6, "[A-Z]{0,3}"), 1..3), 0..8),
        ) {
            let fix = |parts: Vec<(usize, usize, String)>| -> Vec<Edit> {
                let one = |(start, length, new): (usize, usize, String)| {
                    let start = start.min(text.len());
                    edit(start..(start + length).min(text.len()), &new)
                };
                let mut fix: Vec<Edit> = parts.into_iter().map(one).collect();
                fix.sort_by_key(|edit| edit.range.start);
                // The edits of one fix do not overlap.
                fix.dedup_by(|second, first| overlap(&first.range, &second.range));
                fix
            };
            let all: Vec<Vec<Edit>> = places.into_iter().map(fix).collect();
            let edits = Edits::choose(all.clone());
            let made = applied(&edits);
            for fix in &all {
                let is_applied = fix.iter().all(|edit| made.contains(edit));
                let is_dropped = edits.dropped.iter().any(|(first, _)| *first == fix[0]);
                prop_assert!(is_applied || is_dropped);
            }
            for (_, applied) in &edits.dropped {
                prop_assert!(made.contains(applied));
            }
            for edit in &made {
                prop_assert!(all.iter().any(|fix| fix.contains(edit) && fix.iter().all(|edit| made.contains(edit))));
            }
            prop_assert!(made.windows(2).all(|pair| !overlap(&pair[0].range, &pair[1].range)));
            let mut expected = text.clone();
            for edit in made.iter().rev() {
                expected.replace_range(edit.range.clone(), &edit.text);
            }
            prop_assert_eq!(edits.apply(&text), Some(expected));
        }
    }
}
