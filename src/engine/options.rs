//! How an engine is configured.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::command::launcher::CommandLauncher;
use crate::pipelines::Projects;
use crate::store::Claimant;
use crate::workspaces::Workspaces;

/// The configuration of an engine.
#[derive(Clone)]
pub struct EngineOptions {
    /// The name of this instance in claims and in the journal.
    pub owner: String,
    /// This instance in the conditions of claims.
    pub claimant: Claimant,
    /// The most runs that are executed at once. With 0 runs are only ended.
    pub workers: usize,
    /// How long a claim lasts unless it is renewed.
    pub lease: Duration,
    /// Time between SIGTERM and SIGKILL.
    pub grace: Duration,
    /// The project folders that runs may work in.
    pub projects: Arc<Projects>,
    /// The parent of the folders that runs without a project work in.
    pub scratch: PathBuf,
    /// The folders of attempts. The engine owns them: at startup it removes those that no run needs.
    pub workspaces: Workspaces,
    /// This program, which commands may call.
    pub program: PathBuf,
    pub commands: Arc<dyn CommandLauncher>,
}
