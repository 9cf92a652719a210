//! AutoFix and Refactor: the built-in pipelines that rewrite the code of a repository.
//!
//! Each phase is a command like that of any other pipeline: the engine runs `runtrail work refactor scanning` under a
//! supervisor, and the command prints frames. So a grammar that crashes, or a file that exhausts memory, ends a phase
//! and not the server. The phases work on a commit of the user's repository through a repository of Runtrail's own. The
//! user's files, index and branch are not touched, and nothing that their git configuration names is executed. The only
//! visible change is the new branch, created in one step at the very end.
//!
//! Git and the file system: `git`, `user_repository`, `own_repository`, `commit_files`, `checkout`, `workspace`. Pure
//! logic: `search`, `rules`, `template`, `edits`, `patches`, `diff`, `sarif`. Checks and linters: `check`, `trial`,
//! `linter_runs`.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod allowed;
mod analysis;
mod autofix;
mod bisect;
mod builtin;
mod check;
mod checkout;
pub mod checks;
mod command;
mod commit_files;
mod diff;
mod edits;
mod error;
mod files;
mod finding;
mod generated;
mod git;
mod git_objects;
mod ignored;
mod indent;
mod language;
mod lfs;
mod linter_runs;
mod linters;
mod own_repository;
mod parallel;
mod patches;
mod phase_log;
mod phases;
mod python;
mod refactor;
mod rules;
mod sarif;
mod search;
mod shell_export;
mod source_text;
mod submodules;
mod supported_versions;
mod task;
mod template;
mod trial;
mod user_repository;
mod work;
mod workspace;
mod workspace_error;

pub use builtin::pipelines;
pub use checks::{Checks, ChecksError};
pub use work::work;
