//! Why a phase fails.

use std::io;
use std::path::PathBuf;

use super::files::GlobError;
use super::git::GitError;
use super::language::UnknownLanguage;
use super::linters::LinterError;
use super::phase_log::count;
use super::rules::RulesError;
use super::search::SearchError;
use super::workspace_error::WorkspaceError;

/// How many paths a message names.
const NAMED_PATHS: usize = 3;

/// Why a phase fails. The texts are shown to users.
#[derive(Debug, thiserror::Error)]
pub enum PhaseError {
    /// A variable that the server sets is missing.
    #[error("{0} is not set: this is a phase of a run, and is started by the server")]
    NotStartedByServer(&'static str),
    #[error("the pipeline {0} has no phase {1}")]
    UnknownPhase(String, String),
    #[error(transparent)]
    Language(#[from] UnknownLanguage),
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error(transparent)]
    Glob(#[from] GlobError),
    #[error(transparent)]
    Linter(#[from] LinterError),
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The check fails without any patch, so it cannot tell good patches from bad ones.
    #[error("the check fails on the commit as it is, before any patch ({how}). What it printed last:\n{output}{lacks}")]
    Check {
        how: String,
        /// The end of its output.
        output: String,
        /// What is missing in the checkout.
        lacks: String,
    },
    #[error("`{0}` is no time limit: {1}. Write it as 90s, 15m or 2h")]
    TimeLimit(String, humantime::DurationError),
    #[error(transparent)]
    Unreadable(#[from] UnreadableFiles),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("the disk: {0}")]
    Disk(#[from] io::Error),
}

/// Why files of the commit cannot be read. Paths are relative to the top of the repository.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableFiles {
    #[error(
        "the clone lacks {files} of commit {commit} ({named}): it is a partial clone, and Runtrail never asks a remote. Fetch them \
         with `git -C '{top}' fetch --refetch --no-filter`, then start the run again",
        files = count(paths.len(), "file"), named = first_paths(paths), top = folder.display()
    )]
    PartialClone { paths: Vec<String>, commit: String, folder: PathBuf },
    #[error(
        "the repository lacks {files} of commit {commit} ({named}). `git -C '{top}' fsck` tells more; fetch them from a remote that \
         has them with `git -C '{top}' fetch --refetch`, then start the run again",
        files = count(paths.len(), "file"), named = first_paths(paths), top = folder.display()
    )]
    Missing { paths: Vec<String>, commit: String, folder: PathBuf },
    #[error(
        "{files} or more cannot be read, first {first}. The repository is damaged: `git -C '{top}' fsck` tells more; fetch what it \
         had from a remote with `git -C '{top}' fetch --refetch`, then start the run again",
        files = count(*files, "file"), top = folder.display()
    )]
    Damaged {
        /// How many of the files that were tried.
        files: usize,
        /// The first of them, with git's message.
        first: String,
        folder: PathBuf,
    },
}

/// The first paths, for a sentence.
fn first_paths(paths: &[String]) -> String {
    let more = if paths.len() > NAMED_PATHS { ", …" } else { "" };
    format!("{}{more}", paths.iter().take(NAMED_PATHS).map(String::as_str).collect::<Vec<_>>().join(", "))
}

impl From<WorkspaceError> for PhaseError {
    fn from(error: WorkspaceError) -> Self {
        match error {
            WorkspaceError::Disk(error) => Self::Disk(error),
            WorkspaceError::Git(error) => Self::Git(error),
        }
    }
}

impl PhaseError {
    /// The stable code of the error frame.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotStartedByServer(_) | Self::UnknownPhase(..) => "not_a_phase",
            Self::Language(_) => "unknown_language",
            Self::Search(SearchError::Pattern { .. } | SearchError::Unsupported(_)) => "bad_pattern",
            Self::Search(SearchError::Variable { .. }) => "bad_rewrite",
            Self::Glob(_) => "bad_glob",
            Self::Linter(_) => "linter_failed",
            Self::Rules(_) => "bad_rules",
            Self::Check { .. } => "check_failed",
            Self::TimeLimit(..) => "bad_limit",
            Self::Unreadable(_) => "unreadable_files",
            Self::Git(GitError::Branch { .. }) => "branch_blocked",
            Self::Git(GitError::ReadOnly { .. }) => "no_write_access",
            Self::Git(GitError::NoRepository(_)) => "no_repository",
            Self::Git(GitError::Outside { .. }) => "repository_outside",
            Self::Git(GitError::Exchanged(_)) => "repository_exchanged",
            Self::Git(GitError::Bare(_)) => "bare_repository",
            Self::Git(GitError::NoCommits(_)) => "no_commits",
            Self::Git(_) => "git_failed",
            Self::Disk(_) => "disk",
        }
    }
}
