//! Files that one phase leaves to the next, by [`Workspace::save`](super::super::workspace::Workspace::save).

/// The paths of the files that were read.
pub const FILES: &str = "files.json";

/// All findings, by file.
pub const FINDINGS: &str = "found.json";

/// The findings of the linters alone, by file.
pub const LINTER_FINDINGS: &str = "reported.json";

/// The rewritten files.
pub const PATCHES: &str = "patches.json";
