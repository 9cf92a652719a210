//! The changed words in replaced lines. Pure.

use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Lines that are less similar than this count as new as a whole.
const MIN_SIMILARITY_PERCENT: usize = 35;

/// Lines with more words are not compared: that takes quadratic time, and nobody reads them.
const MAX_WORDS: usize = 500;

/// In blocks with more pairs of lines, only lines with the same index are compared.
const MAX_PAIRS: usize = 256;

/// The changed byte ranges of each line, sorted and not adjacent.
pub type Marks = Vec<Vec<Range<usize>>>;

/// The changed parts of removed lines, and of the added lines that replace them.
pub fn changed(removed: &[&str], added: &[&str]) -> (Marks, Marks) {
    let (mut old_marks, mut new_marks) = (vec![Vec::new(); removed.len()], vec![Vec::new(); added.len()]);
    let old: Vec<_> = removed.iter().map(|line| Words::of(line)).collect();
    let new: Vec<_> = added.iter().map(|line| Words::of(line)).collect();
    for (i, j) in pairs(&old, &new) {
        (old_marks[i], new_marks[j]) = compared(&old[i], &new[j]);
    }
    (old_marks, new_marks)
}

/// A line as words: names, numbers, white space, and single signs.
struct Words<'a> {
    all: Vec<&'a str>,
    /// The words without white space, sorted.
    sorted: Vec<&'a str>,
    /// The length of those words together.
    sorted_bytes: usize,
}

impl<'a> Words<'a> {
    /// The words of a line; none if there are more than [`MAX_WORDS`].
    fn of(line: &'a str) -> Self {
        let all: Vec<_> = words(line).take(MAX_WORDS + 1).collect();
        if all.len() > MAX_WORDS {
            return Self { all: Vec::new(), sorted: Vec::new(), sorted_bytes: 0 };
        }
        let mut sorted: Vec<_> = all.iter().copied().filter(|word| !is_blank(word)).collect();
        sorted.sort_unstable();
        let sorted_bytes = sorted.iter().map(|word| word.len()).sum();
        Self { all, sorted, sorted_bytes }
    }

    /// How far the similarity of two lines, by their common words, exceeds the minimum; `None` if it is below.
    fn similarity(&self, other: &Self) -> Option<usize> {
        let (mut a, mut b) = (self.sorted.iter().peekable(), other.sorted.iter().peekable());
        let mut common = 0;
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            match x.cmp(y) {
                std::cmp::Ordering::Less => drop(a.next()),
                std::cmp::Ordering::Greater => drop(b.next()),
                std::cmp::Ordering::Equal => {
                    common += x.len();
                    a.next();
                    b.next();
                }
            }
        }
        self.above(other, common)
    }

    /// How far the similarity of two lines with so many common bytes exceeds [`MIN_SIMILARITY_PERCENT`].
    fn above(&self, other: &Self, common: usize) -> Option<usize> {
        (200 * common).checked_div(self.sorted_bytes + other.sorted_bytes)?.checked_sub(MIN_SIMILARITY_PERCENT)
    }
}

/// Whether a word is white space.
fn is_blank(word: &str) -> bool {
    word.starts_with(char::is_whitespace)
}

/// Splits a text into words. Non-ASCII characters are part of names, so that combining characters stay with their
/// letters.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || (!c.is_ascii() && !c.is_whitespace());
        let other = |c: char| if first.is_whitespace() { !c.is_whitespace() } else { !in_name(c) };
        let end = if first.is_whitespace() || in_name(first) {
            rest.find(other).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, behind) = rest.split_at_checked(end)?;
        rest = behind;
        Some(word)
    })
}

/// Pairs old and new lines in order, with the largest total similarity.
fn pairs(old: &[Words], new: &[Words]) -> Vec<(usize, usize)> {
    if old.len() * new.len() > MAX_PAIRS {
        let facing = (0..old.len().min(new.len())).map(|at| (at, at));
        return facing.filter(|(i, j)| old[*i].similarity(&new[*j]).is_some()).collect();
    }
    let similarity: Vec<Vec<_>> = old.iter().map(|i| new.iter().map(|j| i.similarity(j)).collect()).collect();
    // best[i][j]: the largest total of the first i old and j new lines.
    let mut best = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in 0..old.len() {
        for j in 0..new.len() {
            let paired = similarity[i][j].map_or(0, |above| best[i][j] + above + 1);
            best[i + 1][j + 1] = paired.max(best[i][j + 1]).max(best[i + 1][j]);
        }
    }
    let mut pairs = Vec::new();
    let (mut i, mut j) = (old.len(), new.len());
    while i > 0 && j > 0 {
        if best[i][j] == best[i][j - 1] {
            j -= 1;
        } else if best[i][j] == best[i - 1][j] {
            i -= 1;
        } else {
            (i, j) = (i - 1, j - 1);
            pairs.push((i, j));
        }
    }
    pairs.reverse();
    pairs
}

/// What changed from the one line to the other, if they are alike in the order of the words too.
fn compared(old: &Words, new: &Words) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let (mut old_same, mut new_same) = (vec![false; old.all.len()], vec![false; new.all.len()]);
    let mut common = 0;
    for change in capture_diff_slices(Algorithm::Myers, &old.all, &new.all) {
        if let DiffOp::Equal { old_index, new_index, len } = change {
            old_same[old_index..old_index + len].fill(true);
            new_same[new_index..new_index + len].fill(true);
            let words = &old.all[old_index..old_index + len];
            common += words.iter().filter(|word| !is_blank(word)).map(|word| word.len()).sum::<usize>();
        }
    }
    match old.above(new, common) {
        Some(_) => (ranges(&old.all, &old_same), ranges(&new.all, &new_same)),
        None => (Vec::new(), Vec::new()),
    }
}

/// The bytes of the words that are not the same. A blank between two of them is marked with them.
fn ranges(words: &[&str], same: &[bool]) -> Vec<Range<usize>> {
    let changed = |at: usize| same.get(at).is_some_and(|same| !same);
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for (at, word) in words.iter().enumerate() {
        let end = start + word.len();
        if changed(at) || (is_blank(word) && at > 0 && changed(at - 1) && changed(at + 1)) {
            match ranges.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => ranges.push(start..end),
            }
        }
        start = end;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lines with what changed in brackets.
    fn shown(lines: &[&str], marks: &Marks) -> Vec<String> {
        let show = |(line, marks): (&&str, &Vec<Range<usize>>)| {
            let mut out = (*line).to_owned();
            for range in marks.iter().rev() {
                out.insert(range.end, '>');
                out.insert(range.start, '<');
            }
            out
        };
        lines.iter().zip(marks).map(show).collect()
    }

    #[test]
    fn lines_are_split_into_words() {
        for (text, expected) in [
            ("", vec![]),
            ("let x_1 = 2.5;", vec!["let", " ", "x_1", " ", "=", " ", "2", ".", "5", ";"]),
            ("\t  a->b\r", vec!["\t  ", "a", "-", ">", "b", "\r"]),
            ("grün \u{2003}e\u{301}x 👩‍👩‍👧!", vec!["grün", " \u{2003}", "e\u{301}x", " ", "👩‍👩‍👧", "!"]),
        ] {
            assert_eq!(words(text).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn changed_words_are_marked() {
        for (old, new, expected) in [
            (&["let a = 1;"][..], &["let a = 2;"][..], vec!["let a = <1>;", "let a = <2>;"]),
            // nothing alike, or nothing to compare
            (&["return None;"], &["let x = vec![1, 2, 3];"], vec!["return None;", "let x = vec![1, 2, 3];"]),
            (&["  "], &["    "], vec!["  ", "    "]),
            (&["a"], &[], vec!["a"]),
            // indented
            (&["  foo(bar)"], &["    foo(bar)"], vec!["<  >foo(bar)", "<    >foo(bar)"]),
            // the line's end
            (&["foo(bar)\r"], &["foo(bar)"], vec!["foo(bar)<\r>", "foo(bar)"]),
            // blanks go with the words around them
            (
                &["say hello big world now"],
                &["say good small world now"],
                vec!["say <hello big> world now", "say <good small> world now"],
            ),
            // a line came before
            (
                &["fn a(x: u8) {"],
                &["/// Does it.", "fn a(x: u8, y: u8) {"],
                vec!["fn a(x: u8) {", "/// Does it.", "fn a(x: u8<, y: u8>) {"],
            ),
            // two became one
            (
                &["use std::io;", "let value = read(path);"],
                &["let value = read(path)?;"],
                vec!["use std::io;", "let value = read(path);", "let value = read(path)<?>;"],
            ),
        ] {
            let (old_marks, new_marks) = changed(old, new);
            assert_eq!([shown(old, &old_marks), shown(new, &new_marks)].concat(), expected);
        }
    }

    #[test]
    fn long_lines_are_not_compared() {
        let (old, new) = ("a ".repeat(MAX_WORDS), "a ".repeat(MAX_WORDS) + "b");
        assert_eq!(changed(&[&old], &[&new]), (vec![vec![]], vec![vec![]]));
    }

    proptest! {
        /// Without what changed, the two lines of a pair are the same text; but for blanks.
        #[test]
        fn what_is_not_marked_is_in_both(old in "[ab1 .é\t]{0,20}", new in "[ab1 .é\t]{0,20}") {
            let (old_marks, new_marks) = changed(&[&old], &[&new]);
            if old_marks[0].is_empty() && new_marks[0].is_empty() {
                return Ok(()); // not alike
            }
            let kept = |text: &str, marks: &[Range<usize>]| {
                let at = |at: usize| marks.iter().any(|range| range.contains(&at));
                text.char_indices().filter(|(i, c)| !at(*i) && !c.is_whitespace()).map(|(_, c)| c).collect::<String>()
            };
            prop_assert_eq!(kept(&old, &old_marks[0]), kept(&new, &new_marks[0]));
        }

        #[test]
        fn marks_are_in_order_and_within_the_line(
            old in prop::collection::vec(r"[a-c]{0,3} \PC{0,12}", 0..20),
            new in prop::collection::vec(r"[a-c]{0,3} \PC{0,12}", 0..20),
        ) {
            let [old, new] = [&old, &new].map(|lines| lines.iter().map(String::as_str).collect::<Vec<_>>());
            let (old_marks, new_marks) = changed(&old, &new);
            prop_assert_eq!((old.len(), new.len()), (old_marks.len(), new_marks.len()));
            for (line, marks) in old.iter().zip(&old_marks).chain(new.iter().zip(&new_marks)) {
                prop_assert!(marks.windows(2).all(|two| two[0].end < two[1].start));
                prop_assert!(marks.iter().all(|range| line.get(range.clone()).is_some_and(|text| !text.is_empty())));
            }
        }

        #[test]
        fn words_are_the_text(text in r"\PC*") {
            prop_assert_eq!(words(&text).collect::<String>(), text);
        }
    }
}
