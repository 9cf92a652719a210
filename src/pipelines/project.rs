//! Which folders a run may work in: those that the operator named with `--projects`, and all below them.
//!
//! Links and `..` are resolved before a path is compared, and whole components are compared, so `/srv/project` is not
//! inside `/srv/proj`.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use crate::confined_fs::Folder;
use crate::model::{ParamError, ParamInput, ParamKind, ParamValue, Params, Pipeline};

/// The folders that runs may work in. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Projects {
    /// Canonical, without duplicates, in the order in which they were named.
    roots: Arc<[String]>,
    /// Those of workers on other machines. Paths below them can only be checked there.
    remote_roots: Arc<RwLock<Vec<String>>>,
}

/// Why a folder of `--projects` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProjectsError {
    /// It does not exist or cannot be accessed.
    #[error("the project folder {} cannot be used ({source}): create it, or name another one with --projects", folder.display())]
    Unreadable { folder: PathBuf, source: io::Error },
    #[error("{} is not a folder: name a folder with --projects", .0.display())]
    NotAFolder(PathBuf),
    /// Its path cannot be stored or shown.
    #[error("the path of the project folder {} is not UTF-8: give it another name", .0.display())]
    NotUtf8(PathBuf),
}

/// Why a run may not work in a folder. The text is a sentence for the person who entered the path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathRefusal {
    #[error("This server allows no folders. Start it with --projects and the folder that runs may work in.")]
    NoneAllowed,
    #[error("{0:?} is not an absolute path. Give the whole path, beginning with `/`.")]
    Relative(String),
    /// It resolves to outside the allowed folders. The text does not say whether it exists.
    #[error("{path:?} is not inside a folder that runs may work in. Give one inside {}.", allowed.join(" or "))]
    Outside { path: String, allowed: Vec<String> },
    #[error("{0:?} does not exist. Create the folder or correct the path.")]
    Missing(String),
    #[error("{0:?} is not a folder. Give the path of a folder.")]
    NotAFolder(String),
    /// The resolved path cannot be stored or shown.
    #[error("{0:?} leads to a folder whose path is not UTF-8. Give that folder another name.")]
    NotUtf8(String),
    #[error("{path:?} cannot be looked at: {reason}. Let the server read it or give another path.")]
    Unreadable { path: String, reason: String },
}

impl Projects {
    /// Allows these folders and all below them. An empty list allows nothing.
    ///
    /// # Errors
    /// One of them does not exist, is not a folder, or has a path that is not UTF-8.
    pub fn open(folders: &[PathBuf]) -> Result<Self, ProjectsError> {
        let mut roots = Vec::new();
        for folder in folders {
            let canonical =
                folder.canonicalize().map_err(|source| ProjectsError::Unreadable { folder: folder.clone(), source })?;
            if !canonical.is_dir() {
                return Err(ProjectsError::NotAFolder(folder.clone()));
            }
            let root =
                canonical.into_os_string().into_string().map_err(|path| ProjectsError::NotUtf8(PathBuf::from(path)))?;
            if !roots.contains(&root) {
                roots.push(root);
            }
        }
        Ok(Self { roots: roots.into(), remote_roots: Arc::default() })
    }

    /// The allowed folders: canonical, in the order in which they were named.
    pub fn roots(&self) -> &[String] {
        &self.roots
    }

    /// Replaces the allowed folders of workers on other machines, for all clones.
    pub fn set_remote_roots(&self, roots: Vec<String>) {
        *self.remote_roots.write().unwrap_or_else(PoisonError::into_inner) = roots;
    }

    /// The allowed folders, and then those of workers on other machines, without duplicates.
    pub fn all_roots(&self) -> Vec<String> {
        let mut all = self.roots.to_vec();
        for root in self.remote_roots.read().unwrap_or_else(PoisonError::into_inner).iter() {
            if !all.contains(root) {
                all.push(root.clone());
            }
        }
        all
    }

    /// The path of a folder that a run may be given: one that [resolves](Self::resolve) here, or one below an allowed
    /// folder of a worker elsewhere. The worker resolves the latter before it takes the run. Blocks on the file system.
    ///
    /// # Errors
    /// No worker may work there; the refusal says why and what to do.
    pub fn accept(&self, text: &str) -> Result<PathBuf, PathRefusal> {
        self.resolve(text).or_else(|refusal| self.below_remote_root(text).ok_or(refusal))
    }

    /// The path without repeated slashes, if it is below an allowed folder of a worker elsewhere.
    fn below_remote_root(&self, text: &str) -> Option<PathBuf> {
        let mut parts = Path::new(text).components();
        let is_absolute = parts.next() == Some(Component::RootDir);
        let is_plain = |part| matches!(part, Component::Normal(_));
        if !is_absolute || !parts.all(is_plain) || text.contains('\0') {
            return None;
        }
        let path: PathBuf = Path::new(text).components().collect();
        let roots = self.remote_roots.read().unwrap_or_else(PoisonError::into_inner);
        roots.iter().any(|root| path.starts_with(root)).then_some(path)
    }

    /// The canonical path of an existing folder inside an allowed one. Blocks on the file system.
    ///
    /// The folder may be replaced by a link afterwards, so resolve the path again before using it later.
    ///
    /// # Errors
    /// The run may not work there; the refusal says why and what to do.
    pub fn resolve(&self, text: &str) -> Result<PathBuf, PathRefusal> {
        if self.roots.is_empty() {
            return Err(PathRefusal::NoneAllowed);
        }
        let path = Path::new(text);
        if !path.is_absolute() {
            return Err(PathRefusal::Relative(text.to_owned()));
        }
        let canonical = match path.canonicalize() {
            Ok(canonical) => canonical,
            Err(error) => return Err(self.unreachable(text, &error)),
        };
        if !self.contains(&canonical) {
            return Err(self.outside(text));
        }
        if !canonical.is_dir() {
            return Err(PathRefusal::NotAFolder(text.to_owned()));
        }
        if canonical.to_str().is_none() {
            return Err(PathRefusal::NotUtf8(text.to_owned()));
        }
        Ok(canonical)
    }

    /// Opens an existing folder inside an allowed one. The handle stays on that folder even if it is renamed or its
    /// path becomes a link. Blocks on the file system.
    ///
    /// # Errors
    /// The run may not work there; the refusal says why and what to do.
    pub fn enter(&self, text: &str) -> Result<Folder, PathRefusal> {
        let canonical = self.resolve(text)?;
        let root = self.roots.iter().find(|root| canonical.starts_with(root)).ok_or_else(|| self.outside(text))?;
        let below = canonical.strip_prefix(root).map_err(|_| self.outside(text))?;
        let opened = Folder::open_canonical(Path::new(root)).and_then(|root| root.folder(below));
        opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => PathRefusal::Missing(text.to_owned()),
            io::ErrorKind::PermissionDenied => {
                PathRefusal::Unreadable { path: text.to_owned(), reason: error.to_string() }
            }
            // It, or a folder above it, has become a link since it was resolved.
            _ => self.outside(text),
        })
    }

    fn contains(&self, canonical: &Path) -> bool {
        self.roots.iter().any(|root| canonical.starts_with(root))
    }

    fn outside(&self, text: &str) -> PathRefusal {
        PathRefusal::Outside { path: text.to_owned(), allowed: self.roots.to_vec() }
    }

    /// The refusal of a path that does not resolve. Only inside the allowed folders does it tell why, so that nobody
    /// can probe what exists elsewhere.
    fn unreachable(&self, text: &str, error: &io::Error) -> PathRefusal {
        let existing = Path::new(text).ancestors().skip(1).find_map(|ancestor| ancestor.canonicalize().ok());
        if !existing.is_some_and(|existing| self.contains(&existing)) {
            return self.outside(text);
        }
        match error.kind() {
            io::ErrorKind::NotFound => PathRefusal::Missing(text.to_owned()),
            io::ErrorKind::NotADirectory => PathRefusal::NotAFolder(text.to_owned()),
            _ => PathRefusal::Unreadable { path: text.to_owned(), reason: error.to_string() },
        }
    }
}

/// The parameters of a run that was started with `given`: checked by [`Pipeline::check`], with canonical paths.
///
/// # Errors
/// One entry per bad parameter, in the order of the pipeline, unknown ones last. A refused path is `invalid_path`.
pub fn check_params(pipeline: &Pipeline, given: &ParamInput, projects: &Projects) -> Result<Params, Vec<ParamError>> {
    let (mut params, mut errors) = match pipeline.check(given) {
        Ok(params) => (params, Vec::new()),
        Err(errors) => (Params::new(), errors),
    };
    // Paths are checked even if another parameter is wrong, so that a form shows all errors at once.
    for param in pipeline.params.iter().filter(|param| param.kind == ParamKind::Path) {
        let Ok(read) = param.read(given.get(&param.name).unwrap_or(&Value::Null)) else { continue };
        let Some(ParamValue::Text(text)) = read.or_else(|| param.default.clone()) else { continue };
        // An optional path may be empty.
        if text.is_empty() {
            continue;
        }
        match projects.accept(&text) {
            Ok(path) => {
                let path = path.to_string_lossy().into_owned();
                params.insert(param.name.clone(), ParamValue::Text(path));
            }
            Err(refusal) => errors.push(ParamError::new(&param.name, "invalid_path", refusal.to_string())),
        }
    }
    if errors.is_empty() {
        return Ok(params);
    }
    let place = |error: &ParamError| pipeline.params.iter().position(|param| param.name == error.param);
    errors.sort_by_key(|error| place(error).unwrap_or(usize::MAX));
    Err(errors)
}

#[cfg(test)]
#[path = "project_tests.rs"]
mod tests;
