//! What the server tells the phases of an attempt of a built-in pipeline, and where.
//!
//! The folder is beside the workspace and not inside it: any command may write into a workspace.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::run::ApprovalDecision;

/// The parent of these folders, beside the parent of the workspaces.
const FOLDER: &str = "attempts";

/// What the server tells.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AttemptInfo {
    /// The folders that runs may work in, canonical.
    pub projects: Vec<PathBuf>,
    /// The decision on the last approval, if one was requested.
    pub answer: Option<ApprovalDecision>,
}

impl AttemptInfo {
    /// The name of the file.
    pub const FILE: &str = "attempt.json";

    /// The parent of the folders of all attempts whose workspaces are in `workspaces`.
    pub fn root(workspaces: &Path) -> PathBuf {
        workspaces.with_file_name(FOLDER)
    }

    /// The folder of the attempt with this workspace. `None` if the path cannot be a workspace.
    pub fn folder(workspace: &Path) -> Option<PathBuf> {
        Some(Self::root(workspace.parent()?).join(workspace.file_name()?))
    }
}
