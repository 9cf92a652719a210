//! What is read from a log, and what is needed to read it.

use std::path::Path;

use super::super::edits::Edit;
use super::super::finding::Severity;

/// How much of a linter's output a message quotes.
pub const MAX_QUOTE_CHARS: usize = 80;

/// The longest sentence with a text of a linter.
pub const MAX_SENTENCE_CHARS: usize = 300;

/// A finding of a linter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SarifFinding {
    /// Relative to the project's folder, with `/` and without `..`.
    pub path: String,
    /// From 1.
    pub line: u64,
    /// From 1, in characters.
    pub column: u64,
    /// The name of the rule, or of the linter if it names no rule.
    pub rule: String,
    pub severity: Severity,
    pub message: String,
    /// The fix: edits that are only made together, in the order of their places and without overlaps. Empty without a
    /// usable fix.
    pub edits: Vec<Edit>,
}

/// The folders of the files that a log is about.
#[derive(Clone, Copy)]
pub struct ProjectPaths<'a> {
    /// The project's folder, where the linter runs; absolute.
    pub root: &'a Path,
    /// The top of its repository; absolute.
    pub top: &'a Path,
    /// Whether a path relative to the top is a file. `None` means that files are the paths that have a text.
    pub exists: Option<&'a dyn Fn(&str) -> bool>,
}

/// A text of a linter for a message: on one line, since a line break in it could forge another log line, and truncated.
pub fn one_line(text: &str, max_chars: usize) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(max_chars).map(visible).collect::<String>().trim().to_owned()
}
