//! A unified diff of one file, read. Pure.
//!
//! Programs write these diffs exactly, agents do not: what is in doubt is taken as a line of the hunk, so that no line is lost,
//! and what cannot be one is an error, upon which the diff is shown as the text that it is.

use crate::model::view::LineChange;

/// One place of a change, as it stands in the diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk<'a> {
    /// The number of its first line before.
    pub old_start: u64,
    /// The number of its first line after.
    pub new_start: u64,
    /// What stands behind `@@ … @@`.
    pub title: &'a str,
    /// Its lines.
    pub lines: Vec<Line<'a>>,
}

/// One line of a hunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// What its sign says.
    pub change: LineChange,
    /// The line without its sign and its LF.
    pub text: &'a str,
    /// Its number before.
    pub old: Option<u64>,
    /// Its number after.
    pub new: Option<u64>,
    /// It has no line end in the file.
    pub no_newline: bool,
}

/// Why a text is not the diff of one file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotADiff {
    /// No line begins with `@@`: a binary file, a file that was only renamed, or no diff at all.
    #[error("The diff has no hunk.")]
    NoHunk,
    /// Not `@@ -1,2 +1,2 @@`.
    #[error("Line {0} of the diff begins a hunk without saying which lines it is about.")]
    Header(usize),
    /// A line without a sign.
    #[error("Line {0} of the diff is in no hunk.")]
    Stray(usize),
    /// Another file begins.
    #[error("A second file begins in line {0} of the diff.")]
    SecondFile(usize),
    /// A merge has more than one file before.
    #[error("The diff is of a merge.")]
    Merge,
}

/// The hunks of a diff, in order.
///
/// # Errors
/// [`NotADiff`].
pub fn hunks(diff: &str) -> Result<Vec<Hunk<'_>>, NotADiff> {
    let mut done = Vec::new();
    let mut open: Option<Open> = None;
    let mut file_began = false;
    let mut lines = diff.strip_suffix('\n').unwrap_or(diff).split('\n').zip(1..).peekable();
    while let Some((line, number)) = lines.next() {
        // The counts come first: within them, `--- a` is a line `-- a` that was removed.
        if let Some(open) = &mut open {
            let taken = if open.is_full() { None } else { signed(line).or_else(|| blank(line)) };
            if let Some((change, text)) = taken {
                open.push(change, text);
                continue;
            }
            if line.starts_with('\\') {
                open.hunk.lines.last_mut().into_iter().for_each(|last| last.no_newline = true);
                continue;
            }
        }
        if line.starts_with("@@@") {
            return Err(NotADiff::Merge);
        } else if line.starts_with("@@") {
            let next = Open::begin(line).ok_or(NotADiff::Header(number))?;
            done.extend(open.replace(next).map(|open| open.hunk));
            file_began = true;
        } else if line.starts_with("diff -") {
            if file_began {
                return Err(NotADiff::SecondFile(number));
            }
            file_began = true;
        } else if open.is_none() && done.is_empty() {
            // Names, modes, or words about the change.
        } else if line.trim_end_matches('\r') == "-- " {
            break; // the signature under a patch in a mail
        } else if line.starts_with("--- ") && lines.peek().is_some_and(|(next, _)| next.starts_with("+++ ")) {
            return Err(NotADiff::SecondFile(number));
        } else if blank(line).is_some() {
            done.extend(open.take().map(|open| open.hunk));
        } else if let (Some(open), Some((change, text))) = (&mut open, signed(line)) {
            open.push(change, text); // more than was said
        } else {
            return Err(NotADiff::Stray(number));
        }
    }
    done.extend(open.map(|open| open.hunk));
    if done.is_empty() { Err(NotADiff::NoHunk) } else { Ok(done) }
}

/// A hunk whose lines are being read.
struct Open<'a> {
    hunk: Hunk<'a>,
    old: Side,
    new: Side,
}

/// One side of it.
struct Side {
    next: u64,
    left: u64,
}

impl<'a> Open<'a> {
    /// The hunk that begins with this line.
    fn begin(line: &'a str) -> Option<Self> {
        let (places, title) = line.strip_prefix("@@")?.split_once("@@")?;
        let mut places = places.split_ascii_whitespace();
        let old = Side::read(places.next()?.strip_prefix('-')?)?;
        let new = Side::read(places.next()?.strip_prefix('+')?)?;
        if places.next().is_some() {
            return None;
        }
        let hunk = Hunk { old_start: old.next, new_start: new.next, title: title.trim(), lines: Vec::new() };
        Some(Self { hunk, old, new })
    }

    /// Whether it has as many lines as its header says.
    fn is_full(&self) -> bool {
        self.old.left == 0 && self.new.left == 0
    }

    fn push(&mut self, change: LineChange, text: &'a str) {
        let old = (change != LineChange::Added).then(|| self.old.take());
        let new = (change != LineChange::Removed).then(|| self.new.take());
        self.hunk.lines.push(Line { change, text, old, new, no_newline: false });
    }
}

impl Side {
    /// `12,3`, or `12` for a single line.
    fn read(text: &str) -> Option<Self> {
        let (next, left) = text.split_once(',').unwrap_or((text, "1"));
        Some(Self { next: next.parse().ok()?, left: left.parse().ok()? })
    }

    /// The number of the next line.
    fn take(&mut self) -> u64 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        self.left = self.left.saturating_sub(1);
        number
    }
}

/// The change and the text of a line with a sign.
fn signed(line: &str) -> Option<(LineChange, &str)> {
    [(' ', LineChange::Same), ('-', LineChange::Removed), ('+', LineChange::Added)]
        .into_iter()
        .find_map(|(sign, change)| Some((change, line.strip_prefix(sign)?)))
}

/// An empty line that is on both sides, of which an editor took the blank that was its sign.
fn blank(line: &str) -> Option<(LineChange, &str)> {
    matches!(line, "" | "\r").then_some((LineChange::Same, line))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lines as in a diff, with both numbers.
    fn shown(hunk: &Hunk) -> Vec<String> {
        let number = |number: Option<u64>| number.map_or(".".to_owned(), |number| number.to_string());
        let line = |line: &Line| {
            let end = if line.no_newline { "\\" } else { "" };
            format!("{} {} {:?} {}{end}", number(line.old), number(line.new), line.change, line.text)
        };
        hunk.lines.iter().map(line).collect()
    }

    #[test]
    fn reads_what_git_writes() {
        let diff = "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -3,3 +3,4 @@ fn a() {\n one\n-two\n+zwei\n\
                    +drei\n four\n@@ -20 +21 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n";
        let hunks = hunks(diff).unwrap();
        assert_eq!(hunks.len(), 2);
        assert_eq!((hunks[0].old_start, hunks[0].new_start, hunks[0].title), (3, 3, "fn a() {"));
        let expected = ["3 3 Same one", "4 . Removed two", ". 4 Added zwei", ". 5 Added drei", "5 6 Same four"];
        assert_eq!(shown(&hunks[0]), expected);
        assert_eq!((hunks[1].old_start, hunks[1].new_start, hunks[1].title), (20, 21, ""));
        assert_eq!(shown(&hunks[1]), ["20 . Removed a\\", ". 21 Added b\\"]);
    }

    #[test]
    fn reads_what_agents_write() {
        for (diff, expected) in [
            // nothing but the hunk, and no line end
            ("@@ -1 +1 @@\n-a\n+b", vec!["1 . Removed a", ". 1 Added b"]),
            // dashes and pluses that are text
            ("@@ -1,2 +1,2 @@\n--- a\n+++ b\n c\n", vec!["1 . Removed -- a", ". 1 Added ++ b", "2 2 Same c"]),
            // CRLF: the text's own, and the header's
            ("--- a\r\n+++ b\r\n@@ -1 +1 @@ x\r\n-a\r\n+b\r\n", vec!["1 . Removed a\r", ". 1 Added b\r"]),
            // an empty line without its sign
            ("@@ -1,3 +1,3 @@\n a\n\n-b\n+c\n", vec!["1 1 Same a", "2 2 Same ", "3 . Removed b", ". 3 Added c"]),
            // more lines than said, and fewer
            ("@@ -1 +1 @@\n-a\n+b\n+c\n", vec!["1 . Removed a", ". 1 Added b", ". 2 Added c"]),
            ("@@ -1,9 +1,9 @@\n-a\n+b\n", vec!["1 . Removed a", ". 1 Added b"]),
            // a new file
            ("--- /dev/null\n+++ b/a\n@@ -0,0 +1 @@\n+a\n", vec![". 1 Added a"]),
            // a mail
            (
                "Words\n---\n x | 1 +\n\ndiff --git a/x b/x\n@@ -1 +1 @@\n-a\n+b\n-- \n2.43.0\n\n",
                vec!["1 . Removed a", ". 1 Added b"],
            ),
            (
                "@@ -1 +18446744073709551615,2 @@\n-a\n+b\n+c\n",
                vec!["1 . Removed a", ". 18446744073709551615 Added b", ". 18446744073709551615 Added c"],
            ),
        ] {
            let hunks = hunks(diff).unwrap_or_else(|error| panic!("{error} {diff}"));
            assert_eq!(hunks.iter().flat_map(shown).collect::<Vec<_>>(), expected, "{diff}");
        }
    }

    #[test]
    fn says_what_it_cannot_read() {
        for (diff, expected) in [
            ("", NotADiff::NoHunk),
            ("Binary files a/x and b/x differ\n", NotADiff::NoHunk),
            ("diff --git a/x b/y\nrename from x\nrename to y\n", NotADiff::NoHunk),
            ("@@ fn a() @@\n+b\n", NotADiff::Header(1)),
            ("@@\n+b\n", NotADiff::Header(1)),
            ("@@ -1,2 +99999999999999999999 @@\n", NotADiff::Header(1)),
            ("@@ -1,2 -1,2 +1,2 @@\n", NotADiff::Header(1)),
            ("@@@ -1,2 -1,2 +1,2 @@@\n", NotADiff::Merge),
            ("@@ -1 +1 @@\n-a\nb\n", NotADiff::Stray(3)),
            ("@@ -1 +1 @@\n-a\n+b\n\n+c\n", NotADiff::Stray(5)),
            ("--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b\n--- c\n+++ d\n@@ -1 +1 @@\n-a\n+b\n", NotADiff::SecondFile(6)),
            ("diff --git a/x b/x\nnew mode 1\ndiff --git a/y b/y\n@@ -1 +1 @@\n-a\n+b\n", NotADiff::SecondFile(3)),
        ] {
            assert_eq!(hunks(diff), Err(expected), "{diff}");
        }
    }

    proptest! {
        #[test]
        fn takes_any_text(diff in r"(@@ -[0-9]{0,3},?[0-9]? \+[0-9]{0,3},?[0-9]? @@|[-+ \\@d\r]{0,4}|\PC{0,9}|\n){0,40}") {
            let _ = hunks(&diff);
        }
    }
}
