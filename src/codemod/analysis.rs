//! What the built-in pipelines implement: which files they read, and what they find in them.

use super::commit_files::CommitFiles;
use super::error::PhaseError;
use super::files::PathFilter;
use super::finding::{Finding, Severity};
use super::language::Grammar;
use super::phase_log::PhaseLog;

/// A built-in pipeline's part of the four phases.
pub trait Analysis: Sync {
    /// Reads the configuration of the project, and logs it if there is a log.
    ///
    /// # Errors
    /// The configuration cannot be used.
    fn prepare(&mut self, _code: &CommitFiles, _log: Option<&mut PhaseLog>) -> Result<(), PhaseError> {
        Ok(())
    }

    /// The languages of the files that it reads.
    fn grammars(&self) -> Vec<Grammar>;

    /// The paths of the files that it reads.
    fn path_filter(&self) -> &PathFilter;

    /// The findings in a file, in the order of their places.
    fn analyze(&self, grammar: Grammar, path: &str, text: &str) -> Vec<Finding>;

    /// Whether a file is skipped because a program generated it.
    fn skips_generated(&self, _grammar: Grammar, _text: &str) -> bool {
        false
    }

    /// The message of a commit that fixes so many findings in so many files.
    fn commit_message(&self, fixed: usize, files: usize) -> String;

    /// The outcome of a run that changes nothing, after so many files and findings.
    fn unchanged_message(&self, files: usize, findings: usize) -> String;

    /// Less severe findings are dropped.
    fn min_severity(&self) -> Severity {
        Severity::Hint
    }

    /// Whether the patches are verified: by a check, by a person before the commit, or because none is made.
    fn is_verified(&self) -> bool {
        true
    }

    fn is_dry_run(&self) -> bool {
        false
    }

    /// Whether the run may end with a commit.
    fn makes_commit(&self) -> bool {
        !self.is_dry_run()
    }

    /// Whether fixed files are analyzed again until nothing is left to fix.
    fn repeats(&self) -> bool {
        false
    }
}
