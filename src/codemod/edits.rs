//! Replacements in one text: which of them go together, and the text that they make. Pure.

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
    /// In the order of their places; none touches another one.
    pub kept: Vec<Edit>,
    /// Those that overlap one that is kept, each with that one.
    pub dropped: Vec<(Edit, Edit)>,
}

impl Edits {
    /// Keeps what comes first, and of those that begin together the longest: what encloses before what is inside. An edit that is
    /// there twice is made once and is no overlap.
    pub fn choose(mut all: Vec<Edit>) -> Self {
        all.sort_by(|a, b| {
            let place = |edit: &Edit| (edit.range.start, std::cmp::Reverse(edit.range.end));
            place(a).cmp(&place(b)).then_with(|| a.text.cmp(&b.text))
        });
        all.dedup();
        let mut edits = Self::default();
        for edit in all {
            match edits.kept.last() {
                Some(last) if overlap(&last.range, &edit.range) => edits.dropped.push((edit, last.clone())),
                _ => edits.kept.push(edit),
            }
        }
        edits
    }

    /// The text after the edits that are kept. `None` if one of them is not within the text, or cuts a character.
    pub fn apply(&self, text: &str) -> Option<String> {
        let added: usize = self.kept.iter().map(|edit| edit.text.len()).sum();
        let mut out = String::with_capacity(text.len() + added);
        let mut from = 0;
        for edit in &self.kept {
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

    #[test]
    fn what_encloses_goes_before_what_is_inside() {
        let edits = Edits::choose(vec![edit(4..5, "B"), edit(2..9, "A"), edit(9..10, "C"), edit(2..4, "D")]);
        assert_eq!(edits.kept, [edit(2..9, "A"), edit(9..10, "C")]);
        assert_eq!(edits.dropped, [(edit(2..4, "D"), edit(2..9, "A")), (edit(4..5, "B"), edit(2..9, "A"))]);
        assert_eq!(edits.apply("0123456789x").unwrap(), "01ACx");
    }

    #[test]
    fn the_same_edit_twice_is_one() {
        let edits = Edits::choose(vec![edit(0..1, "a"), edit(0..1, "a"), edit(0..1, "b"), edit(1..1, "i")]);
        assert_eq!(edits.kept, [edit(0..1, "a"), edit(1..1, "i")]);
        assert_eq!(edits.dropped, [(edit(0..1, "b"), edit(0..1, "a"))]);
    }

    #[test]
    fn what_is_not_in_the_text_is_not_applied() {
        assert_eq!(Edits::choose(vec![edit(1..2, "x")]).apply("ä"), None);
        assert_eq!(Edits::choose(vec![edit(1..9, "x")]).apply("ab"), None);
    }

    proptest! {
        /// Every edit is kept or dropped, what is kept is apart, and the text is that of one edit after another from the end.
        #[test]
        fn the_text_is_that_of_single_edits(
            text in "[a-z]{0,20}",
            places in prop::collection::vec((0usize..=20, 0usize..=6, "[A-Z]{0,3}"), 0..8),
        ) {
            let all: Vec<Edit> = places
                .into_iter()
                .map(|(start, length, new)| {
                    let start = start.min(text.len());
                    edit(start..(start + length).min(text.len()), &new)
                })
                .collect();
            let edits = Edits::choose(all.clone());
            for given in &all {
                prop_assert!(edits.kept.contains(given) || edits.dropped.iter().any(|(dropped, _)| dropped == given));
            }
            prop_assert!(edits.kept.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
            let mut expected = text.clone();
            for edit in edits.kept.iter().rev() {
                expected.replace_range(edit.range.clone(), &edit.text);
            }
            prop_assert_eq!(edits.apply(&text), Some(expected));
        }
    }
}
