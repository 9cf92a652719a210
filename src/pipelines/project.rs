//! Which folders a run may work in: those that the operator named with `--projects`, and what lies inside them.
//!
//! The rule is about the folder a path leads to, not about how it is written: links and `..` are resolved first, and
//! containment is by whole components, so `/srv/project` is not inside `/srv/proj`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::confined_fs::Folder;
use crate::model::{ParamError, ParamInput, ParamKind, ParamValue, Params, Pipeline};

/// The folders that runs may work in. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Projects {
    /// Canonical, in the order they were named, each once.
    roots: Arc<[String]>,
}

/// Why the allowed folders cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProjectsError {
    /// It does not exist or may not be looked at.
    #[error("the project folder {} cannot be used ({source}): create it, or name another one with --projects", folder.display())]
    Unreadable {
        /// The folder as it was named.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is something else than a folder.
    #[error("{} is not a folder: name a folder with --projects", .0.display())]
    NotAFolder(PathBuf),
    /// Its path cannot be shown or stored.
    #[error("the path of the project folder {} is not UTF-8: give it another name", .0.display())]
    NotUtf8(PathBuf),
}

/// Why a run may not work at a path. Its text is a sentence for the person who gave the path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathRefusal {
    /// No folder is allowed at all.
    #[error("This server allows no folders. Start it with --projects and the folder that runs may work in.")]
    NoneAllowed,
    /// Relative to nothing in particular.
    #[error("{0:?} is not an absolute path. Give the whole path, beginning with `/`.")]
    Relative(String),
    /// It leads out of the allowed folders. Whether it exists is not told.
    #[error("{path:?} is not inside a folder that runs may work in. Give one inside {}.", allowed.join(" or "))]
    Outside {
        /// As it was given.
        path: String,
        /// The allowed folders.
        allowed: Vec<String>,
    },
    /// Nothing is there.
    #[error("{0:?} does not exist. Create the folder or correct the path.")]
    Missing(String),
    /// Something else is there.
    #[error("{0:?} is not a folder. Give the path of a folder.")]
    NotAFolder(String),
    /// Where it leads cannot be written down.
    #[error("{0:?} leads to a folder whose path is not UTF-8. Give that folder another name.")]
    NotUtf8(String),
    /// The system does not let the server look.
    #[error("{path:?} cannot be looked at: {reason}. Let the server read it or give another path.")]
    Unreadable {
        /// As it was given.
        path: String,
        /// What the system says.
        reason: String,
    },
}

impl Projects {
    /// Allows these folders and what lies inside them. Without any, no path is allowed.
    ///
    /// # Errors
    /// One of them is not there, no folder, or has a path that is not UTF-8.
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
        Ok(Self { roots: roots.into() })
    }

    /// The allowed folders, canonical, in the order they were named.
    pub fn roots(&self) -> &[String] {
        &self.roots
    }

    /// The canonical path of an existing folder inside an allowed one. Looks at the file system, so it may block for a moment.
    ///
    /// What was allowed once may have been replaced by a link since: whoever uses the path later resolves it again.
    ///
    /// # Errors
    /// The path may not be used; the refusal says why and what to do.
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

    /// Opens an existing folder inside an allowed one, and holds it: what is renamed meanwhile, or becomes a link, leads nowhere else.
    /// Blocks for a moment.
    ///
    /// # Errors
    /// The path may not be used; the refusal says why and what to do.
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
            // A link has taken its place, or that of a folder on the way, since it was looked at.
            _ => self.outside(text),
        })
    }

    fn contains(&self, canonical: &Path) -> bool {
        self.roots.iter().any(|root| canonical.starts_with(root))
    }

    fn outside(&self, text: &str) -> PathRefusal {
        PathRefusal::Outside { path: text.to_owned(), allowed: self.roots.to_vec() }
    }

    /// Why a path leads nowhere; but only inside the allowed folders, so that nobody can ask what exists elsewhere.
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

/// The values a run has when these were given: [`Pipeline::check`], and each path resolved and made canonical.
///
/// # Errors
/// One entry per parameter, in the order of the pipeline, unknown ones last. A path that may not be used is `invalid_path`.
pub fn check_params(pipeline: &Pipeline, given: &ParamInput, projects: &Projects) -> Result<Params, Vec<ParamError>> {
    let (mut params, mut errors) = match pipeline.check(given) {
        Ok(params) => (params, Vec::new()),
        Err(errors) => (Params::new(), errors),
    };
    // Looked at even if another parameter is wrong, so that a form shows all that is to correct at once.
    for param in pipeline.params.iter().filter(|param| param.kind == ParamKind::Path) {
        let Ok(read) = param.read(given.get(&param.name).unwrap_or(&Value::Null)) else { continue };
        let Some(ParamValue::Text(text)) = read.or_else(|| param.default.clone()) else { continue };
        // An empty path is given and leads nowhere.
        if text.is_empty() {
            continue;
        }
        match projects.resolve(&text) {
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
