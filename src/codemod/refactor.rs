//! The pipeline `refactor`: finds a pattern in the files of one language and rewrites its matches.

use super::analysis::Analysis;
use super::error::PhaseError;
use super::files::PathFilter;
use super::finding::{Finding, Severity};
use super::language::{self, Grammar};
use super::phase_log::count;
use super::search::{Search, SearchMatch};
use super::task::Task;
use crate::model::kinds::FixSafety;

/// The rule of all findings.
const RULE: &str = "pattern";

/// The parameters of a run.
pub struct Refactor {
    grammar: Grammar,
    pattern: String,
    rewrite: Option<String>,
    search: Search,
    path_filter: PathFilter,
}

impl Refactor {
    /// # Errors
    /// A parameter is invalid.
    pub fn from_params(task: &Task) -> Result<Self, PhaseError> {
        let grammar = language::find(task.param("language"))?;
        let pattern = task.param("pattern").to_owned();
        // An empty rewrite deletes matches; without one they are only listed.
        let rewrite = task.given_param("rewrite").map(str::to_owned);
        let search = Search::new(grammar, &pattern, rewrite.as_deref())?;
        let path_filter = PathFilter::new(task.param("include"), task.param("exclude"))?;
        Ok(Self { grammar, pattern, rewrite, search, path_filter })
    }
}

impl Analysis for Refactor {
    fn grammars(&self) -> Vec<Grammar> {
        vec![self.grammar]
    }

    fn path_filter(&self) -> &PathFilter {
        &self.path_filter
    }

    fn analyze(&self, _: Grammar, _: &str, text: &str) -> Vec<Finding> {
        let finding = |found: SearchMatch| Finding {
            line: found.line,
            column: found.column,
            rule: RULE.to_owned(),
            severity: Severity::Info,
            message: found.snippet,
            edits: Vec::from_iter(found.edit),
            // The person who started the run wrote the rewrite.
            safety: FixSafety::Safe,
            is_withheld: false,
        };
        self.search.matches(text).into_iter().map(finding).collect()
    }

    fn makes_commit(&self) -> bool {
        self.rewrite.is_some()
    }

    fn commit_message(&self, fixed: usize, files: usize) -> String {
        let rewrite = self.rewrite.as_deref().unwrap_or_default();
        let (places, files) = (count(fixed, "place"), count(files, "file"));
        format!("Refactor: {places} in {files}\n\nPattern: {}\nRewrite: {rewrite}", self.pattern)
    }

    fn unchanged_message(&self, files: usize, findings: usize) -> String {
        match findings {
            0 => format!("Nothing to do: the pattern is in none of {}.", count(files, "file")),
            _ if self.rewrite.is_none() => {
                format!("{}; no rewrite was given, so nothing changes.", count(findings, "match"))
            }
            _ => format!("Nothing to do: none of {} can be rewritten.", count(findings, "match")),
        }
    }
}
