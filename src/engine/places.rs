//! Where the commands of an attempt run, and what they find there and in their environment.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::shortage::MayPass;
use super::worker::Worker;
use super::workspace::{blocking, private_folder};
use crate::codemod::Notes;
use crate::confined_fs::Folder;
use crate::model::param::PROJECT_PARAM;
use crate::model::{ApprovalDecision, Param, ParamKind, ParamValue, Pipeline, Run};
use crate::pipelines::{PathRefusal, Projects};

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

/// Where a run works. It is opened for each phase, so that it may be moved away and made again between two of them.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// A folder that the operator allows.
    Project { projects: Arc<Projects>, path: String },
    /// A folder of the run's own.
    Scratch { root: PathBuf, name: String },
}

impl Place {
    /// Opens it, and what is below it. Wherever links lead, it stays below. Blocks.
    ///
    /// # Errors
    /// It is not there, is no folder, or leads elsewhere.
    fn open(&self, below: &str) -> io::Result<Folder> {
        let top = match self {
            Self::Project { projects, path } => projects.enter(path).map_err(|refusal| match refusal {
                // It was inside when the attempt began.
                _ if Path::new(path).symlink_metadata().is_err_and(|lost| lost.kind() == io::ErrorKind::NotFound) => {
                    missing(Path::new(path), MAKE_AGAIN)
                }
                PathRefusal::NotAFolder(_) => {
                    let message = format!("{path} is not a folder any more; make it one, and then run it again");
                    io::Error::new(io::ErrorKind::NotADirectory, message)
                }
                refusal => io::Error::other(refusal.to_string()),
            })?,
            Self::Scratch { root, name } => Folder::open(root)
                .and_then(|root| root.folder(Path::new(name)))
                .map_err(|error| cannot_enter(&root.join(name), error, MAKE_AGAIN))?,
        };
        if below.is_empty() {
            return Ok(top);
        }
        let remedy = "make it in an earlier phase, or correct `dir`";
        let path = top.join(Path::new(below));
        let found = path.canonicalize().map_err(|error| cannot_enter(&path, error, remedy))?;
        let outside = || io::Error::other(format!("its folder {below} leads out of that of the run"));
        let below = found.strip_prefix(top.path().canonicalize()?).map_err(|_| outside())?;
        // No link may have come there since.
        top.folder(below).map_err(|error| cannot_enter(&path, error, remedy))
    }

    /// The run's folder.
    pub(super) fn folder(&self) -> PathBuf {
        match self {
            Self::Project { path, .. } => PathBuf::from(path),
            Self::Scratch { root, name } => root.join(name),
        }
    }

    /// The folder in which git looks for no repository, if that is not the operator's choice: the data folder may lie in one.
    fn ceiling(&self) -> Option<&Path> {
        match self {
            Self::Project { .. } => None,
            Self::Scratch { root, .. } => Some(root),
        }
    }
}

/// The variable that names folders in which git looks for no repository.
const CEILINGS: &str = "GIT_CEILING_DIRECTORIES";

/// What to do about a folder that is gone.
const MAKE_AGAIN: &str = "make it again, and then run it again";

fn missing(folder: &Path, remedy: &str) -> io::Error {
    let message = format!("No such file or directory: its folder {} is missing; {remedy}", folder.display());
    io::Error::new(io::ErrorKind::NotFound, message)
}

fn cannot_enter(folder: &Path, error: io::Error, remedy: &str) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound => missing(folder, remedy),
        kind => io::Error::new(kind, format!("its folder {} cannot be entered: {error}", folder.display())),
    }
}

impl Worker {
    /// What the attempt keeps between its phases, and what a person has answered: there for commands to read.
    pub(super) async fn workspace(&self, run: &Run, answer: Option<&ApprovalDecision>) -> Result<Folder, NoPlace> {
        let options = &self.shared.options;
        let projects = options.projects.roots().iter().map(PathBuf::from).collect();
        let made = options.workspaces.make(&run.id, run.attempt, Notes { projects, answer: answer.cloned() });
        made.await.map_err(|error| NoPlace::of_disk("cannot make its workspace", &error))
    }

    /// Where the run works: its project, or a folder of its own, which is empty when the attempt begins.
    ///
    /// # Errors
    /// The project is no longer where it may be (since it was asked for, a link may have taken its place), or
    /// the folder cannot be made.
    pub(super) async fn place(&self, run: &Run, pipeline: &Pipeline, begins: bool) -> Result<Place, NoPlace> {
        let is_project = |param: &Param| param.name == PROJECT_PARAM && param.kind == ParamKind::Path;
        if pipeline.params.iter().any(is_project)
            && let Some(ParamValue::Text(project)) = run.params.get(PROJECT_PARAM)
            && !project.is_empty()
        {
            let (projects, path) = (Arc::clone(&self.shared.options.projects), project.clone());
            let place = Place::Project { projects: Arc::clone(&projects), path: path.clone() };
            let entered = blocking(move || Ok(projects.enter(&path)));
            return match entered.await {
                Ok(Ok(_)) => Ok(place),
                Ok(Err(refusal)) => Err(NoPlace { message: refusal.to_string(), may_pass: false }),
                Err(error) => Err(NoPlace::of_disk("cannot open its project", &error)),
            };
        }
        let (root, name) = (self.shared.options.scratch.clone(), run.id.to_string());
        let place = Place::Scratch { root: root.clone(), name: name.clone() };
        if !begins {
            return Ok(place);
        }
        let what = format!("cannot make {}", root.join(&name).display());
        let workspaces = self.shared.options.workspaces.clone();
        let made = blocking(move || {
            let root = private_folder(&root)?;
            root.remove_tree(Path::new(&name))?;
            let scratch = root.make_folder(Path::new(&name))?;
            workspaces.give(&scratch)?;
            Ok(scratch)
        });
        made.await.map(|_| place).map_err(|error| NoPlace::of_disk(&what, &error))
    }
}

/// Opens the folder below the run's in which a phase works.
pub(super) async fn enter(place: &Place, below: &str) -> io::Result<Folder> {
    let (place, below) = (place.clone(), below.to_owned());
    blocking(move || place.open(&below)).await
}

/// What a command finds in its environment (CONTRACT.md, "Pipelines in TOML").
pub(super) fn variables(
    run: &Run,
    phase: &str,
    place: &Place,
    workspace: &Path,
    program: &Path,
) -> HashMap<String, OsString> {
    let ceiling = place.ceiling().map(|folder| {
        let mut folders = folder.as_os_str().to_owned();
        if let Some(others) = std::env::var_os(CEILINGS) {
            folders.push(":");
            folders.push(others);
        }
        (CEILINGS.to_owned(), folders)
    });
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
    params.chain(own).map(|(name, value)| (format!("RUNTRAIL_{name}"), value)).chain(ceiling).collect()
}
