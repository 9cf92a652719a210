//! The folder that an attempt's commands run in: a project of the operator's, or a folder of the run's own.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::command::shortage::Transient;
use super::options::EngineOptions;
use crate::confined_fs::Folder;
use crate::model::param::PROJECT_PARAM;
use crate::model::{ApprovalDecision, AttemptInfo, Param, ParamKind, ParamValue, Pipeline, Run};
use crate::pipelines::{PathRefusal, Projects};
use crate::workspaces::{blocking, private_folder};

/// Why a run has no folder to work in.
#[derive(Debug)]
pub(super) struct WorkFolderError {
    message: String,
    is_transient: bool,
}

impl WorkFolderError {
    fn disk(what: &str, error: &io::Error) -> Self {
        Self { message: format!("{what}: {error}"), is_transient: error.is_transient() }
    }
}

impl std::fmt::Display for WorkFolderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Transient for WorkFolderError {
    fn is_transient(&self) -> bool {
        self.is_transient
    }
}

/// Where a run works. Each phase opens it anew, so a phase may replace the folder for the next one.
#[derive(Clone, Debug)]
pub(super) enum WorkFolder {
    /// A folder that the operator allows.
    Project { projects: Arc<Projects>, path: String },
    /// A folder of the run's own.
    Scratch { root: PathBuf, name: String },
}

impl WorkFolder {
    /// Opens the project that the run's parameters name. Without one, the run gets a folder of its own, which is empty
    /// when the attempt starts with its first phase (`is_first`).
    ///
    /// # Errors
    /// The project is no longer in an allowed folder (a link may have replaced it), or the folder cannot be created.
    pub(super) async fn open(
        options: &EngineOptions,
        run: &Run,
        pipeline: &Pipeline,
        is_first: bool,
    ) -> Result<Self, WorkFolderError> {
        let is_project = |param: &Param| param.name == PROJECT_PARAM && param.kind == ParamKind::Path;
        if pipeline.params.iter().any(is_project)
            && let Some(ParamValue::Text(project)) = run.params.get(PROJECT_PARAM)
            && !project.is_empty()
        {
            let (projects, path) = (Arc::clone(&options.projects), project.clone());
            let work_folder = Self::Project { projects: Arc::clone(&projects), path: path.clone() };
            let entered = blocking(move || Ok(projects.enter(&path)));
            return match entered.await {
                Ok(Ok(_)) => Ok(work_folder),
                Ok(Err(refusal)) => Err(WorkFolderError { message: refusal.to_string(), is_transient: false }),
                Err(error) => Err(WorkFolderError::disk("cannot open its project", &error)),
            };
        }
        let (root, name) = (options.scratch.clone(), run.id.to_string());
        let work_folder = Self::Scratch { root: root.clone(), name: name.clone() };
        if !is_first {
            return Ok(work_folder);
        }
        let what = format!("cannot make {}", root.join(&name).display());
        let workspaces = options.workspaces.clone();
        let created = blocking(move || {
            let root = private_folder(&root)?;
            root.remove_tree(Path::new(&name))?;
            let scratch = root.make_folder(Path::new(&name))?;
            workspaces.give(&scratch)?;
            Ok(scratch)
        });
        created.await.map(|_| work_folder).map_err(|error| WorkFolderError::disk(&what, &error))
    }

    /// Opens the subfolder that a phase runs in.
    ///
    /// # Errors
    /// It is missing, is no folder, or links lead out of the work folder.
    pub(super) async fn open_subfolder(&self, subfolder: &str) -> io::Result<Folder> {
        let (work_folder, subfolder) = (self.clone(), subfolder.to_owned());
        blocking(move || work_folder.open_blocking(&subfolder)).await
    }

    fn open_blocking(&self, subfolder: &str) -> io::Result<Folder> {
        let top = match self {
            Self::Project { projects, path } => projects.enter(path).map_err(|refusal| match refusal {
                // It was allowed when the attempt began.
                _ if Path::new(path).symlink_metadata().is_err_and(|lost| lost.kind() == io::ErrorKind::NotFound) => {
                    missing(Path::new(path), CREATE_AGAIN)
                }
                PathRefusal::NotAFolder(_) => {
                    let message = format!("{path} is not a folder any more; make it one, and then run it again");
                    io::Error::new(io::ErrorKind::NotADirectory, message)
                }
                refusal => io::Error::other(refusal.to_string()),
            })?,
            Self::Scratch { root, name } => Folder::open(root)
                .and_then(|root| root.folder(Path::new(name)))
                .map_err(|error| cannot_enter(&root.join(name), error, CREATE_AGAIN))?,
        };
        if subfolder.is_empty() {
            return Ok(top);
        }
        let remedy = "make it in an earlier phase, or correct `dir`";
        let path = top.join(Path::new(subfolder));
        let found = path.canonicalize().map_err(|error| cannot_enter(&path, error, remedy))?;
        let outside = || io::Error::other(format!("its folder {subfolder} leads out of that of the run"));
        let inside = found.strip_prefix(top.path().canonicalize()?).map_err(|_| outside())?;
        // Fails if a component has become a link since it was resolved.
        top.folder(inside).map_err(|error| cannot_enter(&path, error, remedy))
    }

    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::Project { path, .. } => PathBuf::from(path),
            Self::Scratch { root, name } => root.join(name),
        }
    }

    /// Where git stops looking for a repository. The data folder may itself be inside one, and a scratch folder must
    /// not belong to it.
    pub(super) fn git_ceiling(&self) -> Option<&Path> {
        match self {
            Self::Project { .. } => None,
            Self::Scratch { root, .. } => Some(root),
        }
    }
}

/// Creates the attempt's workspace, or opens it if the run resumes after an approval, or was taken over (`is_adopted`).
///
/// # Errors
/// The disk's.
pub(super) async fn open_workspace(
    options: &EngineOptions,
    run: &Run,
    answer: Option<&ApprovalDecision>,
    is_adopted: bool,
) -> Result<Folder, WorkFolderError> {
    let projects = options.projects.roots().iter().map(PathBuf::from).collect();
    let info = AttemptInfo { projects, answer: answer.cloned() };
    let created = options.workspaces.make(&run.id, run.attempt, info, is_adopted || answer.is_some());
    created.await.map_err(|error| WorkFolderError::disk("cannot make its workspace", &error))
}

/// The remedy for a folder that is gone.
const CREATE_AGAIN: &str = "make it again, and then run it again";

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
