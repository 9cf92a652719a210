//! Finds the matches of a pattern in a text, and their replacements. Pure.

use ast_grep_core::Matcher;
use ast_grep_core::matcher::{Pattern, PatternError};
use ast_grep_core::tree_sitter::{LanguageExt, StrDoc};
use ast_grep_core::{AstGrep, Language};

use super::edits::Edit;
use super::language::{self, Grammar};
use super::python;
use super::template::Template;

/// The longest snippet of a match.
const MAX_SNIPPET_CHARS: usize = 200;

/// A pattern and the template of its replacements.
pub struct Search {
    grammar: Grammar,
    pattern: Pattern,
    rewrite: Option<Template>,
}

/// A match of the pattern.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SearchMatch {
    /// From 1.
    pub line: u64,
    /// From 1, in characters.
    pub column: u64,
    /// The first line of the match, truncated.
    pub snippet: String,
    /// The replacement, if there is a rewrite.
    pub edit: Option<Edit>,
}

/// Why a pattern or its rewrite cannot be used. The texts are shown to users.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The pattern does not parse.
    #[error("the pattern does not parse as {language}, line {line}, column {column}:\n{pointer}")]
    Pattern {
        language: String,
        /// In the pattern, from 1.
        line: usize,
        /// In the pattern, from 1, in characters.
        column: usize,
        /// The line of the pattern, and a caret below the fault.
        pointer: String,
    },
    /// The pattern parses but ast-grep cannot search for it.
    #[error("the pattern cannot be looked for: {0}")]
    Unsupported(#[from] PatternError),
    /// The rewrite uses a variable that the pattern does not define.
    #[error("the rewrite uses ${variable}, which the pattern does not have; it has {known}")]
    Variable {
        /// Without `$`.
        variable: String,
        /// The variables of the pattern.
        known: String,
    },
}

impl Search {
    /// Parses a pattern of this language and its rewrite.
    ///
    /// # Errors
    /// [`SearchError`].
    pub fn new(grammar: Grammar, pattern: &str, rewrite: Option<&str>) -> Result<Self, SearchError> {
        check_syntax(grammar, pattern)?;
        let read = Pattern::try_new(pattern, grammar)?;
        let rewrite = rewrite.map(|rewrite| Template::new(rewrite, grammar, &[]));
        if let Some(rewrite) = &rewrite {
            let known = read.defined_vars();
            if let Some(variable) = rewrite.variables().into_iter().find(|name| !known.contains(name)) {
                let mut known: Vec<String> = known.iter().map(|name| format!("${name}")).collect();
                known.sort();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(SearchError::Variable { variable: variable.to_owned(), known });
            }
        }
        Ok(Self { grammar, pattern: read, rewrite })
    }

    /// All matches in a text, including nested ones, in the order of their places.
    pub fn matches(&self, text: &str) -> Vec<SearchMatch> {
        // A text without the longest word of the pattern has no match; searching for a word is far cheaper than
        // parsing. The ast-grep command does the same.
        if !text.contains(&*self.pattern.fixed_string()) {
            return Vec::new();
        }
        let parsed = &*language::to_parse(self.grammar, text);
        let root = self.grammar.ast_grep(parsed);
        let top = root.root();
        let found = top.find_all(&self.pattern).map(|found| {
            let edit = self.rewrite.as_ref().map(|rewrite| {
                let mut range = found.range();
                // A match may end before its node, for example if the pattern has no final `;`.
                if let Some(length) = self.pattern.get_match_len(found.get_node().clone()) {
                    range.end = range.start + length;
                }
                Edit { text: language::with_line_ends_of(text, rewrite.fill(parsed, &found, &range)), range }
            });
            let start = found.start_pos();
            let snippet: String =
                found.text().lines().next().unwrap_or_default().chars().take(MAX_SNIPPET_CHARS).collect();
            SearchMatch {
                line: start.line() as u64 + 1,
                column: start.column(found.get_node()) as u64 + 1,
                snippet,
                edit,
            }
        });
        found.collect()
    }
}

/// The syntax errors of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyntaxFaults {
    pub count: usize,
    /// The bytes that are part of errors.
    bytes: usize,
    /// The length of the text in bytes.
    length: usize,
}

impl SyntaxFaults {
    pub fn of(grammar: Grammar, text: &str) -> Self {
        let root = grammar.ast_grep(language::to_parse(grammar, text));
        let (mut count, mut bytes) = (0, 0);
        for node in root.root().dfs().filter(|node| node.is_error() || node.is_missing()) {
            count += 1;
            bytes += node.range().len();
        }
        if grammar == Grammar::Python {
            count += python::indentation_faults(text);
        }
        Self { count, bytes, length: text.len() }
    }

    /// Whether a text has more errors than `before`, or more bytes in errors than were added to it.
    pub fn is_worse_than(&self, before: &Self) -> bool {
        let added = self.length.saturating_sub(before.length);
        self.count > before.count || self.bytes > before.bytes + added || (before.bytes == 0 && self.bytes > 0)
    }
}

/// Checks that the pattern parses.
fn check_syntax(grammar: Grammar, pattern: &str) -> Result<(), SearchError> {
    let prepared = grammar.pre_process_pattern(pattern);
    let root: AstGrep<StrDoc<Grammar>> = grammar.ast_grep(&*prepared);
    // ast-grep searches for the innermost node that spans the pattern, so only that node must be valid: an expression
    // is not a valid file in most languages, and a statement may lack its end.
    let mut node = root.root();
    loop {
        let mut inner = node.children().filter(|child| !child.is_missing() && !child.kind().is_empty());
        let (Some(only), None) = (inner.next(), inner.next()) else { break };
        drop(inner);
        node = only;
    }
    let Some(fault) = node.dfs().find(|node| node.is_error() || node.is_missing()) else { return Ok(()) };
    // An error that extends to the end of the pattern means that something is missing there.
    let is_unfinished = fault.is_error() && fault.range().end == prepared.trim_end().len();
    let at = if is_unfinished { fault.end_pos() } else { fault.start_pos() };
    // The prepared text has the same characters as the pattern, up to variable signs, so places in characters are
    // equal.
    let (line, bytes) = at.byte_point();
    let before = prepared.lines().nth(line).and_then(|line| line.get(..bytes)).unwrap_or_default();
    let column = before.chars().count() + 1;
    let text = pattern.lines().nth(line).unwrap_or_default();
    let pointer = format!("{text}\n{:>column$}", "^");
    Err(SearchError::Pattern { language: grammar.to_string(), line: line + 1, column, pointer })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn search(grammar: Grammar, pattern: &str, rewrite: Option<&str>) -> Result<Search, String> {
        Search::new(grammar, pattern, rewrite).map_err(|error| error.to_string())
    }

    #[test]
    fn patterns_need_not_be_whole_files() {
        for (grammar, pattern) in [
            (Grammar::Rust, "x($A)"),
            (Grammar::Rust, "$A.unwrap()"),
            (Grammar::Rust, "let $A = $B;"),
            (Grammar::Rust, "fn $F($$$A) { $$$B }"),
            (Grammar::Go, "$A = 0"),
            (Grammar::Go, "fmt.Println($$$A)"),
            (Grammar::Go, "if err != nil { return $$$X }"),
            (Grammar::Python, "if $A: $B"),
            (Grammar::TypeScript, "console.log($$$A)"),
            (Grammar::Tsx, "<$A />"),
        ] {
            search(grammar, pattern, None).map(drop).unwrap();
        }
    }

    #[test]
    fn pattern_error_points_to_the_fault() {
        let pointed = |pattern: &str| search(Grammar::Rust, pattern, None).map(drop).unwrap_err();
        assert_eq!(pointed("x($A"), "the pattern does not parse as Rust, line 1, column 5:\nx($A\n    ^");
        assert_eq!(pointed("f(\n  $A +)"), "the pattern does not parse as Rust, line 2, column 8:\n  $A +)\n       ^");
    }

    #[test]
    fn search_finds_nested_matches_with_character_columns() {
        let search = search(Grammar::Rust, "x($A)", Some("y($A, $A)")).unwrap();
        let text = "fn f() {\n    let ä = x(x(1));\n}\n";
        let found = search.matches(text);
        let places = found.iter().map(|found| (found.line, found.column, found.snippet.as_str())).collect::<Vec<_>>();
        assert_eq!(places, [(2, 13, "x(x(1))"), (2, 15, "x(1)")]);
        let edit = found[0].edit.clone().unwrap();
        assert_eq!((&text[edit.range.clone()], edit.text.as_str()), ("x(x(1))", "y(x(1), x(1))"));
    }

    #[test]
    fn rewrite_has_the_indentation_of_its_place() {
        let search = search(Grammar::Python, "a($X)", Some("if $X:\n    b()")).unwrap();
        let found = search.matches("def f():\n    a(1)\n").remove(0);
        assert_eq!(found.edit.unwrap().text, "if 1:\n        b()");
    }

    #[test]
    fn syntax_faults_are_counted() {
        assert_eq!(SyntaxFaults::of(Grammar::Rust, "fn f() {}").count, 0);
        assert_ne!(SyntaxFaults::of(Grammar::Rust, "fn f( {}").count, 0);
        assert_ne!(SyntaxFaults::of(Grammar::Python, "def f(:\n  x").count, 0);
        // The grammar alone accepts this.
        let [before, after] =
            ["class A:\n\tx\n", "class A:\n\tx\ny\n\tz\n"].map(|text| SyntaxFaults::of(Grammar::Python, text));
        assert!(after.is_worse_than(&before) && !before.is_worse_than(&after));
    }
}
