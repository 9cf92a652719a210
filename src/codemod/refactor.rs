//! The pipeline `refactor`: a pattern is looked for in the files of one language, and what is found is rewritten.

use super::analysis::{Analysis, Found, Severity};
use super::files::Wanted;
use super::language::{self, Grammar};
use super::report::count;
use super::search::Search;
use super::{PhaseError, Task};

/// The rule that findings name.
const RULE: &str = "pattern";

/// What is asked for.
pub struct Refactor {
    grammar: Grammar,
    pattern: String,
    rewrite: Option<String>,
    search: Search,
    wanted: Wanted,
}

impl Refactor {
    /// What the run's parameters ask for.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn read(task: &Task) -> Result<Self, PhaseError> {
        let grammar = language::find(task.param("language"))?;
        let pattern = task.param("pattern").to_owned();
        let rewrite = Some(task.param("rewrite")).filter(|rewrite| !rewrite.is_empty()).map(str::to_owned);
        let search = Search::new(grammar, &pattern, rewrite.as_deref())?;
        let wanted = Wanted::new(task.param("include"), task.param("exclude"))?;
        Ok(Self { grammar, pattern, rewrite, search, wanted })
    }
}

impl Analysis for Refactor {
    fn grammars(&self) -> Vec<Grammar> {
        vec![self.grammar]
    }

    fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    fn look(&self, _: Grammar, _: &str, text: &str) -> Vec<Found> {
        let found = |(line, column, snippet, edit)| Found {
            line,
            column,
            rule: RULE.to_owned(),
            severity: Severity::Info,
            message: snippet,
            edits: Vec::from_iter(edit),
        };
        let matches = self.search.matches(text).into_iter();
        matches.map(|place| found((place.line, place.column, place.snippet, place.edit))).collect()
    }

    fn commits(&self) -> bool {
        self.rewrite.is_some()
    }

    fn message(&self, fixed: usize, files: usize) -> String {
        let rewrite = self.rewrite.as_deref().unwrap_or_default();
        let (places, files) = (count(fixed, "place"), count(files, "file"));
        format!("Refactor: {places} in {files}\n\nPattern: {}\nRewrite: {rewrite}", self.pattern)
    }

    fn nothing(&self, files: usize, findings: usize) -> String {
        match findings {
            0 => format!("Nothing to do: the pattern is in none of {}.", count(files, "file")),
            _ if self.rewrite.is_none() => {
                format!("{}; no rewrite was given, so nothing changes.", count(findings, "match"))
            }
            _ => format!("Nothing to do: none of {} can be rewritten.", count(findings, "match")),
        }
    }
}
