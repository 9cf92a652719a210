//! Parses the unified diff of one file. Pure.
//!
//! Programs write exact diffs, language models do not: ambiguous lines count as lines of the hunk, so that none is
//! lost. Other deviations are errors, and the page then shows the diff as text.

use crate::model::patch_view::LineChange;

/// A hunk of a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffHunk<'a> {
    /// The first line in the old file.
    pub old_start: u64,
    /// The first line in the new file.
    pub new_start: u64,
    /// The text after `@@ … @@`.
    pub title: &'a str,
    pub lines: Vec<HunkLine<'a>>,
}

/// A line of a hunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HunkLine<'a> {
    /// According to its sign.
    pub change: LineChange,
    /// Without the sign and the LF.
    pub text: &'a str,
    /// Its number in the old file.
    pub old: Option<u64>,
    /// Its number in the new file.
    pub new: Option<u64>,
    /// Whether it has no line end in the file.
    pub no_newline: bool,
}

/// Why a text is not the diff of one file. The texts are shown to users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
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
    /// A merge has several old files.
    #[error("The diff is of a merge.")]
    Merge,
}

/// The hunks of a diff, in order.
///
/// # Errors
/// [`DiffError`].
pub fn hunks(diff: &str) -> Result<Vec<DiffHunk<'_>>, DiffError> {
    let mut done = Vec::new();
    let mut open: Option<OpenHunk> = None;
    let mut file_began = false;
    let mut lines = diff.strip_suffix('\n').unwrap_or(diff).split('\n').zip(1..).peekable();
    while let Some((line, number)) = lines.next() {
        // The counts of the header take precedence: within them, `--- a` is a removed line `-- a`.
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
            return Err(DiffError::Merge);
        } else if line.starts_with("@@") {
            let next = OpenHunk::begin(line).ok_or(DiffError::Header(number))?;
            done.extend(open.replace(next).map(|open| open.hunk));
            file_began = true;
        } else if line.starts_with("diff -") {
            if file_began {
                return Err(DiffError::SecondFile(number));
            }
            file_began = true;
        } else if open.is_none() && done.is_empty() {
            // File names, modes or a description before the first hunk.
        } else if line.trim_end_matches('\r') == "-- " {
            break; // the signature of a mail
        } else if line.starts_with("--- ") && lines.peek().is_some_and(|(next, _)| next.starts_with("+++ ")) {
            return Err(DiffError::SecondFile(number));
        } else if blank(line).is_some() {
            done.extend(open.take().map(|open| open.hunk));
        } else if let (Some(open), Some((change, text))) = (&mut open, signed(line)) {
            open.push(change, text); // more lines than the header says
        } else {
            return Err(DiffError::Stray(number));
        }
    }
    done.extend(open.map(|open| open.hunk));
    if done.is_empty() { Err(DiffError::NoHunk) } else { Ok(done) }
}

/// A hunk whose lines are read.
struct OpenHunk<'a> {
    hunk: DiffHunk<'a>,
    old: HunkSide,
    new: HunkSide,
}

/// The remaining lines of one side.
struct HunkSide {
    next: u64,
    left: u64,
}

impl<'a> OpenHunk<'a> {
    /// Parses the first line of a hunk.
    fn begin(line: &'a str) -> Option<Self> {
        let (places, title) = line.strip_prefix("@@")?.split_once("@@")?;
        let mut places = places.split_ascii_whitespace();
        let old = HunkSide::read(places.next()?.strip_prefix('-')?)?;
        let new = HunkSide::read(places.next()?.strip_prefix('+')?)?;
        if places.next().is_some() {
            return None;
        }
        let hunk = DiffHunk { old_start: old.next, new_start: new.next, title: title.trim(), lines: Vec::new() };
        Some(Self { hunk, old, new })
    }

    /// Whether it has as many lines as its header says.
    fn is_full(&self) -> bool {
        self.old.left == 0 && self.new.left == 0
    }

    fn push(&mut self, change: LineChange, text: &'a str) {
        let old = (change != LineChange::Added).then(|| self.old.take());
        let new = (change != LineChange::Removed).then(|| self.new.take());
        self.hunk.lines.push(HunkLine { change, text, old, new, no_newline: false });
    }
}

impl HunkSide {
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

/// The change and text of a line with a sign.
fn signed(line: &str) -> Option<(LineChange, &str)> {
    [(' ', LineChange::Same), ('-', LineChange::Removed), ('+', LineChange::Added)]
        .into_iter()
        .find_map(|(sign, change)| Some((change, line.strip_prefix(sign)?)))
}

/// An empty context line whose sign, a blank, an editor has removed.
fn blank(line: &str) -> Option<(LineChange, &str)> {
    matches!(line, "" | "\r").then_some((LineChange::Same, line))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lines with both numbers.
    fn shown(hunk: &DiffHunk) -> Vec<String> {
        let number = |number: Option<u64>| number.map_or(".".to_owned(), |number| number.to_string());
        let line = |line: &HunkLine| {
            let end = if line.no_newline { "\\" } else { "" };
            format!("{} {} {:?} {}{end}", number(line.old), number(line.new), line.change, line.text)
        };
        hunk.lines.iter().map(line).collect()
    }

    #[test]
    fn diffs_of_git_are_read() {
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
    fn inexact_diffs_are_read() {
        for (diff, expected) in [
            // nothing but the hunk, and no line end
            ("@@ -1 +1 @@\n-a\n+b", vec!["1 . Removed a", ". 1 Added b"]),
            // dashes and pluses that are text
            ("@@ -1,2 +1,2 @@\n--- a\n+++ b\n c\n", vec!["1 . Removed -- a", ". 1 Added ++ b", "2 2 Same c"]),
            // CRLF: the text's own, and the header's
            ("--- a\r\n+++ b\r\n@@ -1 +1 @@ x\r\n-a\r\n+b\r\n", vec!["1 . Removed a\r", ". 1 Added b\r"]),
            // an empty line without its sign
            ("@@ -1,3 +1,3 @@\n a\n\n-b\n+c\n", vec!["1 1 Same a", "2 2 Same ", "3 . Removed b", ". 3 Added c"]),
            // more lines than in the header, and fewer
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
    fn other_texts_have_an_error() {
        for (diff, expected) in [
            ("", DiffError::NoHunk),
            ("Binary files a/x and b/x differ\n", DiffError::NoHunk),
            ("diff --git a/x b/y\nrename from x\nrename to y\n", DiffError::NoHunk),
            ("@@ fn a() @@\n+b\n", DiffError::Header(1)),
            ("@@\n+b\n", DiffError::Header(1)),
            ("@@ -1,2 +99999999999999999999 @@\n", DiffError::Header(1)),
            ("@@ -1,2 -1,2 +1,2 @@\n", DiffError::Header(1)),
            ("@@@ -1,2 -1,2 +1,2 @@@\n", DiffError::Merge),
            ("@@ -1 +1 @@\n-a\nb\n", DiffError::Stray(3)),
            ("@@ -1 +1 @@\n-a\n+b\n\n+c\n", DiffError::Stray(5)),
            ("--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b\n--- c\n+++ d\n@@ -1 +1 @@\n-a\n+b\n", DiffError::SecondFile(6)),
            ("diff --git a/x b/x\nnew mode 1\ndiff --git a/y b/y\n@@ -1 +1 @@\n-a\n+b\n", DiffError::SecondFile(3)),
        ] {
            assert_eq!(hunks(diff), Err(expected), "{diff}");
        }
    }

    proptest! {
        #[test]
        fn diff_parser_takes_any_text(diff in r"(@@ -[0-9]{0,3},?[0-9]? \+[0-9]{0,3},?[0-9]? @@|[-+ \\@d\r]{0,4}|\PC{0,9}|\n){0,40}") {
            let _ = hunks(&diff);
        }
    }
}
