//! What the built-in pipelines do to the code of a repository.
//!
//! Each phase is a command like that of any other pipeline: `runtrail work refactor scanning`, started by the engine in the
//! project's folder, on the leash, its frames printed. So a grammar that crashes, or a file that takes all memory, ends a
//! phase and not the server. Between phases the [`workspace`] keeps what was found, and a repository of its own (the [`store`])
//! that reads the user's objects. For checks and linters it also has a [`checkout`] of the whole commit. The user's files, index
//! and branch are not touched, and nothing that their configuration names is run; the one thing that appears, at the very end and
//! in one step, is the new branch.
//!
//! [`git`], [`repository`], [`files`] and [`workspace`] look at the world; [`search`], [`template`], [`edits`] and [`diff`] are pure.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod allowed;
mod analysis;
mod autofix;
mod builtin;
mod check;
mod checkout;
pub mod checks;
mod code;
mod command;
mod declared;
mod diff;
mod edits;
mod files;
mod generated;
mod git;
mod ignored;
mod indent;
mod language;
mod lfs;
mod linters;
mod parallel;
mod passes;
mod patches;
mod python;
mod refactor;
mod report;
mod repository;
mod rules;
mod sarif;
mod search;
mod store;
mod submodules;
mod template;
mod trial;
mod workspace;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use analysis::Analysis;
use autofix::AutoFix;
use check::Check;
use code::Code;
use files::BadGlob;
use git::GitError;
use linters::BadLinter;
use patches::Rewritten;
use refactor::Refactor;
use report::{Report, count};
use rules::BadRules;
use search::BadSearch;
use trial::{Changed, Trial};
use workspace::{Workspace, WorkspaceError};

use crate::confined_fs::Folder;

pub use builtin::autofix_with;
pub use builtin::pipelines;
pub use checks::{Checks, ChecksError, NamedCheck};
pub use language::LANGUAGES;
pub use linters::Linter;

/// What a phase is given: the variables of every command (CONTRACT.md, "Pipelines in TOML").
pub struct Task {
    /// The folder it is started in.
    project: Folder,
    workspace: Workspace,
    run: String,
    attempt: String,
    /// By name; a parameter that was not given is not there.
    params: HashMap<String, String>,
}

impl Task {
    fn from_environment() -> Result<Self, PhaseError> {
        let variable = |name: &'static str| std::env::var(name).map_err(|_| PhaseError::Alone(name));
        let param = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            let name = name.to_str()?.strip_prefix("RUNTRAIL_PARAM_")?.to_lowercase();
            Some((name, value.into_string().ok()?))
        };
        Ok(Self {
            project: Folder::current()?,
            workspace: Workspace::open(Path::new(&variable("RUNTRAIL_WORKSPACE")?))?,
            run: variable("RUNTRAIL_RUN_ID")?,
            attempt: variable("RUNTRAIL_ATTEMPT")?,
            params: std::env::vars_os().filter_map(param).collect(),
        })
    }

    /// The branch that the attempt makes.
    fn branch(&self) -> String {
        format!("runtrail/{}-{}", self.run, self.attempt)
    }

    /// The value of a parameter; empty if it was not given.
    fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }
}

/// Why a phase cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum PhaseError {
    /// It was not started by a server.
    #[error("{0} is not set: this is a phase of a run, and is started by the server")]
    Alone(&'static str),
    /// There is no such phase.
    #[error("the pipeline {0} has no phase {1}")]
    Unknown(String, String),
    /// See [`language::UnknownLanguage`].
    #[error(transparent)]
    Language(#[from] language::UnknownLanguage),
    /// See [`BadSearch`].
    #[error(transparent)]
    Search(#[from] BadSearch),
    /// See [`BadGlob`].
    #[error(transparent)]
    Glob(#[from] BadGlob),
    /// See [`BadLinter`].
    #[error(transparent)]
    Linter(#[from] BadLinter),
    /// See [`BadRules`].
    #[error(transparent)]
    Rules(#[from] BadRules),
    /// The check fails without any patch, so it cannot tell good ones from bad ones.
    #[error("the check fails on the commit as it is, before any patch ({how}). What it printed last:\n{said}{lacks}")]
    Check {
        /// How it ended.
        how: String,
        /// The end of what it printed.
        said: String,
        /// What could not be provided in the checkout.
        lacks: String,
    },
    /// A parameter is no duration.
    #[error("`{0}` is no time limit: {1}. Write it as 90s, 15m or 2h")]
    Limit(String, humantime::DurationError),
    /// Files of the commit cannot be read, so nothing can be said of it.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// See [`GitError`].
    #[error(transparent)]
    Git(#[from] GitError),
    /// The disk is full, or something else is wrong with it.
    #[error("the disk: {0}")]
    Disk(#[from] io::Error),
}

/// Why files of the commit cannot be read. Paths are relative to the repository's top.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The clone was made without them.
    #[error(
        "the clone lacks {files} of commit {commit} ({named}): it is a partial clone, and Runtrail never asks a remote. Fetch them \
         with `git -C '{top}' fetch --refetch --no-filter`, then start the run again",
        files = count(paths.len(), "file"), named = some_of(paths), top = folder.display()
    )]
    Partial {
        /// Which.
        paths: Vec<String>,
        /// The commit.
        commit: String,
        /// The repository's top.
        folder: PathBuf,
    },
    /// They are gone.
    #[error(
        "the repository lacks {files} of commit {commit} ({named}). `git -C '{top}' fsck` tells more; fetch them from a remote that \
         has them with `git -C '{top}' fetch --refetch`, then start the run again",
        files = count(paths.len(), "file"), named = some_of(paths), top = folder.display()
    )]
    Missing {
        /// Which.
        paths: Vec<String>,
        /// The commit.
        commit: String,
        /// The repository's top.
        folder: PathBuf,
    },
    /// They are damaged.
    #[error(
        "{files} or more cannot be read, first {first}. The repository is damaged: `git -C '{top}' fsck` tells more; fetch what it \
         had from a remote with `git -C '{top}' fetch --refetch`, then start the run again",
        files = count(*files, "file"), top = folder.display()
    )]
    Damaged {
        /// How many, of those that were tried.
        files: usize,
        /// One of them, and what git says of it.
        first: String,
        /// The folder that is searched.
        folder: PathBuf,
    },
}

/// The first of some paths, for a sentence.
fn some_of(paths: &[String]) -> String {
    let more = if paths.len() > 3 { ", …" } else { "" };
    format!("{}{more}", paths.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", "))
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
    /// A stable word for programs.
    fn code(&self) -> &'static str {
        match self {
            Self::Alone(_) | Self::Unknown(..) => "not_a_phase",
            Self::Language(_) => "unknown_language",
            Self::Search(BadSearch::Pattern { .. } | BadSearch::Unfit(_)) => "bad_pattern",
            Self::Search(BadSearch::Variable { .. }) => "bad_rewrite",
            Self::Glob(_) => "bad_glob",
            Self::Linter(_) => "linter_failed",
            Self::Rules(_) => "bad_rules",
            Self::Check { .. } => "check_failed",
            Self::Limit(..) => "bad_limit",
            Self::Lost(_) => "unreadable_files",
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

/// `runtrail work`: one phase of a built-in pipeline, in this process. What is wrong is told as a frame and ends it with 1.
pub async fn work(pipeline: &str, phase: &str) -> ExitCode {
    command::adopt_orphans();
    let mut report = Report::new();
    let done = match Task::from_environment() {
        Ok(task) => carry_out(pipeline, phase, &task, &mut report).await,
        Err(error) => Err(error),
    };
    let told = match &done {
        Ok(()) => report.flush(),
        Err(error) => report.failure(error.code(), error.to_string()).and_then(|()| report.flush()),
    };
    if done.is_ok() && told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn carry_out(pipeline: &str, phase: &str, task: &Task, report: &mut Report) -> Result<(), PhaseError> {
    // What is wrong with the parameters is said before anything is done.
    let mut refactor;
    let mut autofix;
    let (analysis, check): (&mut dyn Analysis, Option<Check>) = match pipeline {
        "refactor" => {
            refactor = Refactor::read(task)?;
            (&mut refactor, None)
        }
        "autofix" => {
            autofix = AutoFix::read(task)?;
            let check = autofix.check();
            (&mut autofix, check)
        }
        _ => return Err(PhaseError::Unknown(pipeline.to_owned(), phase.to_owned())),
    };
    match phase {
        "scanning" => {
            let files_needed = check.is_some() || !linters::told()?.is_empty();
            analysis::scanning(task, analysis, files_needed, report).await
        }
        "analyzing" => analysis::analyzing(task, analysis, report).await,
        "generating" => {
            let patches = passes::generating(task, analysis, check, report).await?;
            analysis::show(task, patches, report)
        }
        "applying" => {
            let mut patches = analysis::shown(task)?;
            // What is left has not been proved without the others.
            let left_out = analysis::leave_out(task, &mut patches, report)?;
            if left_out
                && !patches.is_empty()
                && let Some(check) = check
            {
                patches = prove_again(task, &check, patches, report).await?;
            }
            analysis::applying(task, analysis, patches, left_out, report).await
        }
        _ => Err(PhaseError::Unknown(pipeline.to_owned(), phase.to_owned())),
    }
}

/// The patches with which the check passes, all together, on the commit.
async fn prove_again(
    task: &Task,
    check: &Check,
    patches: Vec<Rewritten>,
    report: &mut Report,
) -> Result<Vec<Rewritten>, PhaseError> {
    let tree = task.workspace.tree()?;
    let code = Code::of(&tree).await?;
    let mut trial = Trial::open(&task.workspace, &tree, &code).await?;
    trial.restore().await?;
    trial.show(Changed::new()).await?;
    check.passes_before(&trial, report).await?;
    check.prove(&mut trial, &mut Changed::new(), patches, report).await
}
