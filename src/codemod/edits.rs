//! Replacements in one text: which of them go together, and the text that they make. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

/// Text that takes the place of a range of bytes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Edit {
    /// Where, in bytes of the text before.
    pub range: Range<usize>,
    /// What stands there afterwards.
    pub text: String,
}

/// Edits that can be made together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// By where they begin; none touches another one.
    kept: BTreeMap<usize, Edit>,
    /// Of the fixes that are not made, which: the first edit of each, and the one that is made in its place.
    pub dropped: Vec<(Edit, Edit)>,
}

impl Edits {
    /// Keeps what comes first, and of those that begin together the longest: what encloses before what is inside. A fix is some
    /// edits that only make sense together, in the order of their places, and is made as a whole or not at all. An edit that is
    /// there twice is made once and is no overlap.
    pub fn choose(mut fixes: Vec<Vec<Edit>>) -> Self {
        fixes.retain(|fix| !fix.is_empty());
        let place = |fix: &Vec<Edit>| fix.first().map(|edit| (edit.range.start, Reverse(edit.range.end)));
        let texts = |fix: &Vec<Edit>| fix.iter().map(|edit| edit.text.clone()).collect::<Vec<_>>();
        fixes.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| texts(a).cmp(&texts(b))));
        let mut edits = Self::default();
        for mut fix in fixes {
            match fix.iter().find_map(|edit| edits.in_the_way(edit)) {
                Some(kept) => {
                    let kept = kept.clone();
                    edits.dropped.push((fix.swap_remove(0), kept));
                }
                None => edits.kept.extend(fix.into_iter().map(|edit| (edit.range.start, edit))),
            }
        }
        edits
    }

    /// An edit that is kept and overlaps this one.
    fn in_the_way(&self, edit: &Edit) -> Option<&Edit> {
        let before = self.kept.range(..=edit.range.start).next_back().map(|(_, kept)| kept);
        let after = self.kept.range(edit.range.start + 1..).next().map(|(_, kept)| kept);
        let overlaps = |kept: &&Edit| match kept.range.start <= edit.range.start {
            true => *kept != edit && overlap(&kept.range, &edit.range),
            false => overlap(&edit.range, &kept.range),
        };
        before.into_iter().chain(after).find(overlaps)
    }

    /// Those that are kept, in the order of their places.
    pub fn kept(&self) -> impl DoubleEndedIterator<Item = &Edit> {
        self.kept.values()
    }

    /// Where a range of the text before is in the text after: what an edit replaces is where its text is.
    pub fn moved(&self, range: &Range<usize>) -> Range<usize> {
        let (mut start, mut end) = (range.start, range.end);
        // What is added and taken away before the place that is looked at.
        let (mut added, mut removed) = (0, 0);
        for edit in self.kept() {
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

    /// The text after the edits that are kept. `None` if one of them is not within the text, or cuts a character.
    pub fn apply(&self, text: &str) -> Option<String> {
        let added: usize = self.kept().map(|edit| edit.text.len()).sum();
        let mut out = String::with_capacity(text.len() + added);
        let mut from = 0;
        for edit in self.kept() {
            out.push_str(text.get(from..edit.range.start)?);
            out.push_str(&edit.text);
            from = edit.range.end;
        }
        out.push_str(text.get(from..)?);
        Some(out)
    }
}

/// Whether the second, which does not begin before the first, touches what the first replaces. Two insertions at one place are
/// an overlap too: nobody can say which comes first.
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

    fn kept(edits: &Edits) -> Vec<Edit> {
        edits.kept().cloned().collect()
    }

    #[test]
    fn what_encloses_goes_before_what_is_inside() {
        let edits = choose(vec![edit(4..5, "B"), edit(2..9, "A"), edit(9..10, "C"), edit(2..4, "D")]);
        assert_eq!(kept(&edits), [edit(2..9, "A"), edit(9..10, "C")]);
        assert_eq!(edits.dropped, [(edit(2..4, "D"), edit(2..9, "A")), (edit(4..5, "B"), edit(2..9, "A"))]);
        assert_eq!(edits.apply("0123456789x").unwrap(), "01ACx");
    }

    #[test]
    fn the_same_edit_twice_is_one() {
        let edits = choose(vec![edit(0..1, "a"), edit(0..1, "a"), edit(0..1, "b"), edit(1..1, "i")]);
        assert_eq!(kept(&edits), [edit(0..1, "a"), edit(1..1, "i")]);
        assert_eq!(edits.dropped, [(edit(0..1, "b"), edit(0..1, "a"))]);
    }

    /// The second fix needs the same import as the first; the third one is half in the way.
    #[test]
    fn a_fix_is_made_as_a_whole_or_not_at_all() {
        let import = edit(0..0, "use x;");
        let edits = Edits::choose(vec![
            vec![import.clone(), edit(4..6, "A")],
            vec![import.clone(), edit(8..9, "B")],
            vec![edit(3..4, "C"), edit(5..5, "D")],
        ]);
        assert_eq!(kept(&edits), [import, edit(4..6, "A"), edit(8..9, "B")]);
        assert_eq!(edits.dropped, [(edit(3..4, "C"), edit(4..6, "A"))]);
        assert_eq!(edits.apply("0123456789").unwrap(), "use x;0123A67B9");
    }

    #[test]
    fn what_is_not_in_the_text_is_not_applied() {
        assert_eq!(choose(vec![edit(1..2, "x")]).apply("ä"), None);
        assert_eq!(choose(vec![edit(1..9, "x")]).apply("ab"), None);
    }

    #[test]
    fn ranges_move_with_the_text() {
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
        /// Every fix is kept or dropped as a whole, what is kept is apart, what is dropped could not be added, and the text is that
        /// of one edit after another from the end.
        #[test]
        fn the_text_is_that_of_single_edits(
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
                // A fix does not quarrel with itself.
                fix.dedup_by(|second, first| overlap(&first.range, &second.range));
                fix
            };
            let all: Vec<Vec<Edit>> = places.into_iter().map(fix).collect();
            let edits = Edits::choose(all.clone());
            let made = kept(&edits);
            for given in &all {
                let whole = given.iter().all(|edit| made.contains(edit));
                let dropped = edits.dropped.iter().any(|(first, _)| *first == given[0]);
                prop_assert!(whole || dropped);
            }
            for (_, kept) in &edits.dropped {
                prop_assert!(made.contains(kept));
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
