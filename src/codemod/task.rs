//! The environment of a phase: docs/CONTRACT.md, "Pipeline files".

use std::collections::HashMap;
use std::path::Path;

use super::error::PhaseError;
use super::workspace::Workspace;
use crate::confined_fs::Folder;

/// What a phase learns from its environment variables.
pub struct Task {
    /// The folder in which the phase was started.
    pub project: Folder,
    pub workspace: Workspace,
    pub run: String,
    pub attempt: String,
    /// By name, without parameters that have no value.
    params: HashMap<String, String>,
}

impl Task {
    /// # Errors
    /// A variable is not set, or the workspace cannot be opened.
    pub fn from_env() -> Result<Self, PhaseError> {
        let variable = |name: &'static str| std::env::var(name).map_err(|_| PhaseError::NotStartedByServer(name));
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

    /// The branch that the attempt creates.
    pub fn branch(&self) -> String {
        format!("runtrail/{}-{}", self.run, self.attempt)
    }

    /// The value of a parameter; empty without one.
    pub fn param(&self, name: &str) -> &str {
        self.given_param(name).unwrap_or_default()
    }

    /// The value of a parameter, if it has one.
    pub fn given_param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }
}
