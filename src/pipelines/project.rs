//! The folders that runs may work in. A path outside them is refused, whatever links and dots lead to it.

use std::path::{Path, PathBuf};

use crate::model::pipeline::Given;
use crate::model::{ParamError, ParamKind, ParamValue, Params, Pipeline};

/// The allowed folders, their links resolved.
#[derive(Clone, Debug, Default)]
pub struct Projects {
    roots: Vec<PathBuf>,
}

/// A folder given with `--projects` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProjectsError {
    /// It is not there, or may not be looked at.
    #[error("cannot use the project folder {}: {source}. Check --projects", .folder.display())]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is a file.
    #[error("cannot use the project folder {}: it is not a folder. Check --projects", .0.display())]
    NotAFolder(PathBuf),
    /// Its name cannot be shown or sent.
    #[error("cannot use the project folder {}: its name is not UTF-8. Rename it", .0.display())]
    NotText(PathBuf),
}

impl Projects {
    /// The folders as they are now.
    ///
    /// # Errors
    /// [`ProjectsError`] for the first that cannot be used.
    pub fn open(folders: &[PathBuf]) -> Result<Self, ProjectsError> {
        let open = |folder: &PathBuf| {
            let root =
                folder.canonicalize().map_err(|source| ProjectsError::Unreadable { folder: folder.clone(), source })?;
            if !root.is_dir() {
                return Err(ProjectsError::NotAFolder(root));
            }
            if root.to_str().is_none() {
                return Err(ProjectsError::NotText(root));
            }
            Ok(root)
        };
        Ok(Self { roots: folders.iter().map(open).collect::<Result<_, _>>()? })
    }

    /// The folders, in the order they were given.
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// The folder that `text` leads to, its links resolved.
    ///
    /// # Errors
    /// A sentence: it is no folder, or outside the allowed ones.
    pub fn resolve(&self, text: &str) -> Result<String, String> {
        if self.roots.is_empty() {
            return Err("This server allows no folders: start it with --projects FOLDER.".to_owned());
        }
        let path = Path::new(text);
        if !path.is_absolute() {
            return Err(format!("`{text}` is not an absolute path; begin it with /."));
        }
        // One sentence for what is not there and what may not be seen: a path outside must tell nothing about itself.
        let allowed: Vec<String> = self.roots.iter().map(|root| root.display().to_string()).collect();
        let outside = || format!("`{text}` is not a folder inside {}.", allowed.join(" or "));
        let real = path.canonicalize().map_err(|_| outside())?;
        // Compared by components: /a/project is not inside /a/proj.
        if !self.roots.iter().any(|root| real.starts_with(root)) || !real.is_dir() {
            return Err(outside());
        }
        real.to_str().map(str::to_owned).ok_or_else(|| format!("The name of `{text}` is not UTF-8; rename it."))
    }
}

/// [`Pipeline::check`], and every path resolved within the allowed folders.
///
/// # Errors
/// One entry per parameter that does not fit.
pub fn check_params(pipeline: &Pipeline, given: &Given, projects: &Projects) -> Result<Params, Vec<ParamError>> {
    let (mut params, mut errors) = match pipeline.check(given) {
        Ok(params) => (params, Vec::new()),
        // Look at the paths all the same, so that everything wrong is said at once.
        Err(errors) => {
            let paths = pipeline.params.iter().filter(|param| param.kind == ParamKind::Path);
            let read = paths.filter_map(|param| {
                let value = param.read(given.get(&param.name)?).ok()??;
                Some((param.name.clone(), value))
            });
            (read.collect(), errors)
        }
    };
    for param in pipeline.params.iter().filter(|param| param.kind == ParamKind::Path) {
        if let Some(ParamValue::Text(path)) = params.get_mut(&param.name) {
            match projects.resolve(path) {
                Ok(real) => *path = real,
                Err(reason) => errors.push(ParamError::new(&param.name, "invalid_path", reason)),
            }
        }
    }
    if errors.is_empty() { Ok(params) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::pipelines::read_pipeline;

    #[test]
    fn only_folders_inside_are_allowed() {
        let world = tempfile::tempdir().unwrap();
        let at = |name: &str| world.path().join(name);
        for folder in ["project/sub", "project-two", "outside"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("project/file"), "").unwrap();
        std::os::unix::fs::symlink(at("outside"), at("project/escape")).unwrap();
        std::os::unix::fs::symlink(at("project/sub"), at("project/inner")).unwrap();
        let projects = Projects::open(&[at("project")]).unwrap();
        let resolve = |name: &str| projects.resolve(at(name).to_str().unwrap());
        let real = |name: &str| Ok(at(name).canonicalize().unwrap().to_str().unwrap().to_owned());

        assert_eq!(resolve("project"), real("project"));
        assert_eq!(resolve("project/sub"), real("project/sub"));
        assert_eq!(resolve("outside/../project/sub"), real("project/sub"));
        assert_eq!(resolve("project/inner"), real("project/sub"));
        for bad in
            ["outside", "project-two", "project/../outside", "project/escape", "project/file", "project/nothing", ""]
        {
            assert!(resolve(bad).unwrap_err().contains("is not a folder inside"), "{bad}");
        }
        assert!(projects.resolve("sub").unwrap_err().contains("absolute"));
        assert!(Projects::default().resolve("/").unwrap_err().contains("--projects"));
    }

    #[test]
    fn a_root_must_be_a_folder() {
        let world = tempfile::tempdir().unwrap();
        fs::write(world.path().join("file"), "").unwrap();
        assert!(matches!(Projects::open(&[world.path().join("file")]), Err(ProjectsError::NotAFolder(_))));
        assert!(matches!(Projects::open(&[world.path().join("none")]), Err(ProjectsError::Unreadable { .. })));
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let text = "name = \"p\"\n[[params]]\nname = \"project\"\ntype = \"path\"\n[[params]]\nname = \"n\"\n\
                    type = \"integer\"\nrequired = true\n[[phases]]\nname = \"a\"\nrun = \"true\"\n";
        let pipeline = read_pipeline("p.toml", text).unwrap();
        let world = tempfile::tempdir().unwrap();
        let projects = Projects::open(&[world.path().to_owned()]).unwrap();
        let given = Given::from([("project".into(), json!("/"))]);
        let errors = check_params(&pipeline, &given, &projects).unwrap_err();
        assert_eq!(errors.iter().map(|error| error.param.as_str()).collect::<Vec<_>>(), ["n", "project"]);
        let given = Given::from([("project".into(), json!(world.path())), ("n".into(), json!("3"))]);
        assert!(check_params(&pipeline, &given, &projects).is_ok());
    }
}
