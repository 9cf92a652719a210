//! What the server tells the phases of an attempt, and where they keep what one of them leaves to the next.
//!
//! That is a folder beside the workspaces and not in one: what lies in a workspace may come from any command.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::ApprovalDecision;

/// The folder of such folders, beside that of the workspaces.
const NOTES: &str = "attempts";

/// What the server tells.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Notes {
    /// The folders that runs may work in, canonical.
    pub projects: Vec<PathBuf>,
    /// What a person has answered, if one was asked.
    pub answer: Option<ApprovalDecision>,
}

impl Notes {
    /// The file they are in.
    pub const FILE: &str = "attempt.json";

    /// Where the folders of all attempts are, if the workspaces are in this one.
    pub fn root(workspaces: &Path) -> PathBuf {
        workspaces.with_file_name(NOTES)
    }

    /// The folder of the attempt that has this workspace. `None` if that is none.
    pub fn folder(workspace: &Path) -> Option<PathBuf> {
        Some(Self::root(workspace.parent()?).join(workspace.file_name()?))
    }
}
