//! Where the commands of an attempt run, and what they find there and in their environment.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::shortage::MayPass;
use super::worker::Worker;
use crate::model::param::PROJECT;
use crate::model::{Answer, Param, ParamKind, ParamValue, Pipeline, Run};

/// Why a run has no place to work in.
#[derive(Debug)]
pub(super) struct NoPlace {
    message: String,
    may_pass: bool,
}

impl NoPlace {
    fn of_disk(what: &str, error: &std::io::Error) -> Self {
        Self { message: format!("{what}: {error}"), may_pass: error.may_pass() }
    }
}

impl std::fmt::Display for NoPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl MayPass for NoPlace {
    fn may_pass(&self) -> bool {
        self.may_pass
    }
}

impl Worker {
    /// What the attempt keeps between its phases, and what a person has answered: there for commands to read.
    pub(super) async fn workspace(&self, run: &Run, answer: Option<&Answer>) -> Result<PathBuf, NoPlace> {
        let made = async {
            let folder = self.shared.options.workspaces.make(&run.id, run.attempt).await?;
            if let Some(answer) = answer {
                tokio::fs::write(folder.join(Answer::FILE), serde_json::to_vec(answer)?).await?;
            }
            Ok::<_, std::io::Error>(folder)
        };
        made.await.map_err(|error| NoPlace::of_disk("cannot make its workspace", &error))
    }

    /// Where the run works: its project, or a folder of its own, which is empty when the attempt begins.
    ///
    /// # Errors
    /// The project is no longer where it may be (since it was asked for, a link may have taken its place), or
    /// the folder cannot be made.
    pub(super) async fn folder(&self, run: &Run, pipeline: &Pipeline, begins: bool) -> Result<PathBuf, NoPlace> {
        let is_project = |param: &Param| param.name == PROJECT && param.kind == ParamKind::Path;
        if pipeline.params.iter().any(is_project)
            && let Some(ParamValue::Text(project)) = run.params.get(PROJECT)
        {
            let refused = |message: String| NoPlace { message, may_pass: false };
            return self.shared.options.projects.resolve(project).map_err(|refusal| refused(refusal.to_string()));
        }
        let folder = self.shared.options.scratch.join(run.id.as_str());
        if !begins {
            return Ok(folder);
        }
        let what = format!("cannot make {}", folder.display());
        empty(&folder).await.map_err(|error| NoPlace::of_disk(&what, &error))?;
        Ok(folder)
    }
}

/// The folder below the run's, wherever links lead: it must stay below.
pub(super) async fn enter(folder: &Path, below: &str) -> std::io::Result<PathBuf> {
    if below.is_empty() {
        return Ok(folder.to_owned());
    }
    let top = tokio::fs::canonicalize(folder).await?;
    let folder = tokio::fs::canonicalize(folder.join(below)).await?;
    let outside = || std::io::Error::other(format!("its folder {below} leads out of that of the run"));
    if folder.starts_with(top) { Ok(folder) } else { Err(outside()) }
}

/// Makes the folder, empty.
async fn empty(folder: &Path) -> std::io::Result<()> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => tokio::fs::create_dir_all(folder).await,
    }
}

/// What a command finds in its environment (CONTRACT.md, "Pipelines in TOML").
pub(super) fn variables(run: &Run, phase: &str, workspace: &Path, program: &Path) -> HashMap<String, OsString> {
    let params =
        run.params.iter().map(|(name, value)| (format!("PARAM_{}", name.to_uppercase()), value.to_string().into()));
    let own = [
        ("RUN_ID", run.id.as_str().into()),
        ("ATTEMPT", run.attempt.to_string().into()),
        ("PHASE", phase.into()),
        ("WORKSPACE", workspace.into()),
        ("PROGRAM", program.into()),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    params.chain(own).map(|(name, value)| (format!("RUNTRAIL_{name}"), value)).collect()
}
