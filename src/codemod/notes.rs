//! What the server passes to the phases of an attempt, and the folder where phases leave files to each other.
//!
//! The folder is beside the workspaces, not inside one: files in a workspace may come from any command.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::ApprovalDecision;

/// The folder of these folders, beside that of the workspaces.
const NOTES: &str = "attempts";

/// What the server passes to the phases of an attempt.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Notes {
    /// The folders that runs may work in, canonical.
    pub projects: Vec<PathBuf>,
    /// The decision of the approver, if there was an approval.
    pub answer: Option<ApprovalDecision>,
}

impl Notes {
    /// The name of the file with the notes.
    pub const FILE: &str = "attempt.json";

    /// The folder of all attempts, given the folder of all workspaces.
    pub fn root(workspaces: &Path) -> PathBuf {
        workspaces.with_file_name(NOTES)
    }

    /// The folder of the attempt with this workspace. `None` if the path is not that of a workspace.
    pub fn folder(workspace: &Path) -> Option<PathBuf> {
        Some(Self::root(workspace.parent()?).join(workspace.file_name()?))
    }
}
