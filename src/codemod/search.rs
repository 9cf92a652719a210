//! A pattern, looked for in the text of one file, and what its rewrite makes of each place. Pure.

use ast_grep_core::Matcher;
use ast_grep_core::matcher::{Pattern, PatternError};
use ast_grep_core::tree_sitter::{LanguageExt, StrDoc};
use ast_grep_core::{AstGrep, Language};

use super::edits::Edit;
use super::language::{self, Grammar};
use super::python;
use super::template::Template;

/// The longest snippet of a finding, in characters.
const SNIPPET: usize = 200;

/// A pattern and what takes the place of what it finds.
pub struct Search {
    grammar: Grammar,
    pattern: Pattern,
    rewrite: Option<Template>,
}

/// A place where the pattern was found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Match {
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1, in characters.
    pub column: u64,
    /// The first line of what was found, shortened.
    pub snippet: String,
    /// What the rewrite does to it.
    pub edit: Option<Edit>,
}

/// Why a search cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BadSearch {
    /// The pattern is no code of its language.
    #[error("the pattern does not parse as {language}, line {line}, column {column}:\n{pointer}")]
    Pattern {
        /// The language's name.
        language: String,
        /// Line in the pattern, from 1.
        line: usize,
        /// Column in the pattern, from 1, in characters.
        column: usize,
        /// The line of the pattern, and a caret under the place.
        pointer: String,
    },
    /// The pattern parses, and cannot be looked for.
    #[error("the pattern cannot be looked for: {0}")]
    Unfit(#[from] PatternError),
    /// The rewrite wants what the pattern does not find.
    #[error("the rewrite uses ${variable}, which the pattern does not have; it has {known}")]
    Variable {
        /// The variable's name, without `$`.
        variable: String,
        /// Those of the pattern.
        known: String,
    },
}

impl Search {
    /// Reads a pattern of this language and its rewrite.
    ///
    /// # Errors
    /// [`BadSearch`]: it says where in the pattern.
    pub fn new(grammar: Grammar, pattern: &str, rewrite: Option<&str>) -> Result<Self, BadSearch> {
        check_syntax(grammar, pattern)?;
        let read = Pattern::try_new(pattern, grammar)?;
        let rewrite = rewrite.map(|rewrite| Template::new(rewrite, grammar, &[]));
        if let Some(rewrite) = &rewrite {
            let known = read.defined_vars();
            if let Some(variable) = rewrite.used().into_iter().find(|used| !known.contains(used)) {
                let mut known: Vec<String> = known.iter().map(|name| format!("${name}")).collect();
                known.sort();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(BadSearch::Variable { variable: variable.to_owned(), known });
            }
        }
        Ok(Self { grammar, pattern: read, rewrite })
    }

    /// Every place in this text, in order; one inside another is there too.
    pub fn matches(&self, text: &str) -> Vec<Match> {
        // Without the longest word of the pattern there is no match, and to look for a word is far less work than to parse. The
        // command does so too.
        if !text.contains(&*self.pattern.fixed_string()) {
            return Vec::new();
        }
        let parsed = &*language::parsed(self.grammar, text);
        let root = self.grammar.ast_grep(parsed);
        let top = root.root();
        let found = top.find_all(&self.pattern).map(|found| {
            let edit = self.rewrite.as_ref().map(|rewrite| {
                let mut range = found.range();
                // A pattern without a last `;`, say, ends before its node does.
                if let Some(length) = self.pattern.get_match_len(found.get_node().clone()) {
                    range.end = range.start + length;
                }
                Edit { text: language::unparsed(text, rewrite.fill(parsed, &found, &range)), range }
            });
            let start = found.start_pos();
            let snippet: String = found.text().lines().next().unwrap_or_default().chars().take(SNIPPET).collect();
            Match { line: start.line() as u64 + 1, column: start.column(found.get_node()) as u64 + 1, snippet, edit }
        });
        found.collect()
    }
}

/// What of a text its language does not understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// In how many places.
    pub count: usize,
    /// How much of it is in such places, in bytes.
    bytes: usize,
    /// How long it is, in bytes.
    length: usize,
}

impl Faults {
    /// Those of a text.
    pub fn of(grammar: Grammar, text: &str) -> Self {
        let root = grammar.ast_grep(language::parsed(grammar, text));
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

    /// Whether a text with these parses worse than one with those did: in more places, or with more of it in them than was added.
    pub fn is_worse_than(&self, before: &Self) -> bool {
        let added = self.length.saturating_sub(before.length);
        self.count > before.count || self.bytes > before.bytes + added || (before.bytes == 0 && self.bytes > 0)
    }
}

/// That the pattern is code.
fn check_syntax(grammar: Grammar, pattern: &str) -> Result<(), BadSearch> {
    let prepared = grammar.pre_process_pattern(pattern);
    let root: AstGrep<StrDoc<Grammar>> = grammar.ast_grep(&*prepared);
    // What is looked for is the innermost node that is all of the pattern: what stands around it need not be right. An
    // expression alone is no file of most languages, and a statement may lack the end that the next one would give it.
    let mut node = root.root();
    loop {
        let mut inner = node.children().filter(|child| !child.is_missing() && !child.kind().is_empty());
        let (Some(only), None) = (inner.next(), inner.next()) else { break };
        drop(inner);
        node = only;
    }
    let Some(fault) = node.dfs().find(|node| node.is_error() || node.is_missing()) else { return Ok(()) };
    // A fault that takes all of the rest is known at its end: something is missing there.
    let unfinished = fault.is_error() && fault.range().end == prepared.trim_end().len();
    let at = if unfinished { fault.end_pos() } else { fault.start_pos() };
    // Each character of the pattern is one of what was prepared, so places are the same if counted in characters.
    let (line, bytes) = at.byte_point();
    let before = prepared.lines().nth(line).and_then(|line| line.get(..bytes)).unwrap_or_default();
    let column = before.chars().count() + 1;
    let text = pattern.lines().nth(line).unwrap_or_default();
    let pointer = format!("{text}\n{:>column$}", "^");
    Err(BadSearch::Pattern { language: grammar.to_string(), line: line + 1, column, pointer })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn search(grammar: Grammar, pattern: &str, rewrite: Option<&str>) -> Result<Search, String> {
        Search::new(grammar, pattern, rewrite).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_no_file_may_be_a_pattern() {
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
    fn an_error_points_into_the_pattern() {
        let pointed = |pattern: &str| search(Grammar::Rust, pattern, None).map(drop).unwrap_err();
        assert_eq!(pointed("x($A"), "the pattern does not parse as Rust, line 1, column 5:\nx($A\n    ^");
        assert_eq!(pointed("f(\n  $A +)"), "the pattern does not parse as Rust, line 2, column 8:\n  $A +)\n       ^");
    }

    #[test]
    fn finds_what_is_inside_another_and_counts_characters() {
        let search = search(Grammar::Rust, "x($A)", Some("y($A, $A)")).unwrap();
        let text = "fn f() {\n    let ä = x(x(1));\n}\n";
        let found = search.matches(text);
        let places = found.iter().map(|found| (found.line, found.column, found.snippet.as_str())).collect::<Vec<_>>();
        assert_eq!(places, [(2, 13, "x(x(1))"), (2, 15, "x(1)")]);
        let edit = found[0].edit.clone().unwrap();
        assert_eq!((&text[edit.range.clone()], edit.text.as_str()), ("x(x(1))", "y(x(1), x(1))"));
    }

    #[test]
    fn a_rewrite_has_the_indentation_of_its_place() {
        let search = search(Grammar::Python, "a($X)", Some("if $X:\n    b()")).unwrap();
        let found = search.matches("def f():\n    a(1)\n").remove(0);
        assert_eq!(found.edit.unwrap().text, "if 1:\n        b()");
    }

    #[test]
    fn counts_what_a_grammar_does_not_understand() {
        assert_eq!(Faults::of(Grammar::Rust, "fn f() {}").count, 0);
        assert_ne!(Faults::of(Grammar::Rust, "fn f( {}").count, 0);
        assert_ne!(Faults::of(Grammar::Python, "def f(:\n  x").count, 0);
        // Which the grammar alone takes.
        let [before, after] =
            ["class A:\n\tx\n", "class A:\n\tx\ny\n\tz\n"].map(|text| Faults::of(Grammar::Python, text));
        assert!(after.is_worse_than(&before) && !before.is_worse_than(&after));
    }
}
