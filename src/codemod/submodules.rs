//! The submodules of a commit, and where the local clone has their objects. Nothing is fetched, and their configuration
//! is not read.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::allowed::AllowedFolders;
use super::git::{GitError, parts, text};
use super::own_repository::OwnRepository;
use super::user_repository::UserRepository;
use crate::confined_fs::Folder;

/// A submodule at its recorded commit.
#[derive(Debug)]
pub struct Submodule {
    /// Relative to the top of the outermost repository.
    pub path: String,
    pub commit: String,
    /// Its local clone, or a sentence that tells why there is none.
    pub clone: Result<SubmoduleClone, String>,
}

/// A clone of a submodule.
#[derive(Clone, Debug)]
pub struct SubmoduleClone {
    pub git_dir: Folder,
    /// Its working tree, if it is known.
    files: Option<PathBuf>,
}

/// The submodules of the user's repository.
///
/// # Errors
/// [`GitError`].
pub async fn of(
    own: &OwnRepository,
    repository: &UserRepository,
    allowed: &AllowedFolders,
    prefix: &str,
) -> Result<Vec<Submodule>, GitError> {
    let mut holders = vec![repository.git_dir.path().to_owned(), repository.common_dir.path().to_owned()];
    holders.dedup();
    find(own, &holders, Some(repository.top.path()), allowed, prefix).await
}

/// The submodules of a submodule.
///
/// # Errors
/// [`GitError`].
pub async fn nested(
    own: &OwnRepository,
    clone: &SubmoduleClone,
    allowed: &AllowedFolders,
    prefix: &str,
) -> Result<Vec<Submodule>, GitError> {
    find(own, &[clone.git_dir.path().to_owned()], clone.files.as_deref(), allowed, prefix).await
}

async fn find(
    own: &OwnRepository,
    holders: &[PathBuf],
    files: Option<&Path>,
    allowed: &AllowedFolders,
    prefix: &str,
) -> Result<Vec<Submodule>, GitError> {
    let list = own.list(Path::new("")).await?;
    let links: Vec<(String, String)> = parts(&list).filter_map(link).collect();
    if links.is_empty() {
        return Ok(Vec::new());
    }
    let names = names(own).await?;
    let module = |(path, commit): (String, String)| {
        let place = files.map(|files| files.join(&path));
        let source = names
            .get(&path)
            .into_iter()
            .flat_map(|name| holders.iter().map(move |holder| holder.join("modules").join(name)))
            // Old versions of git cloned submodules inside the working tree.
            .chain(place.iter().map(|place| place.join(".git")))
            .find(|git_dir| {
                git_dir.join("objects").is_dir() && git_dir.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
            });
        let none =
            || "a submodule that is not in the local clone; run `git submodule update --init --recursive`".to_owned();
        let clone = source.ok_or_else(none).and_then(|git_dir| open_clone(&git_dir, place, allowed));
        let full = if prefix.is_empty() { path } else { format!("{prefix}/{path}") };
        Submodule { path: full, commit, clone }
    };
    Ok(links.into_iter().map(module).collect())
}

/// Opens the clone in this folder, if all of it is in folders that runs may work in.
fn open_clone(git_dir: &Path, files: Option<PathBuf>, allowed: &AllowedFolders) -> Result<SubmoduleClone, String> {
    let outside = |path: &Path| {
        let path = path.display();
        format!("a submodule whose repository is partly at {path}, outside the folders that runs may work in")
    };
    let git_dir = allowed.open(git_dir).map_err(|path| outside(&path))?.map_err(|error| error.to_string())?;
    let objects = allowed.open(&git_dir.join(Path::new("objects"))).map_err(|path| outside(&path))?;
    let objects = objects.map_err(|error| error.to_string())?;
    allowed.check_objects(objects.path()).map_err(|part| outside(&part.path))?;
    Ok(SubmoduleClone { git_dir, files })
}

/// The path and commit of a line of `git ls-tree`, if it is a submodule.
fn link(line: &[u8]) -> Option<(String, String)> {
    let line = std::str::from_utf8(line).ok()?;
    let (facts, path) = line.split_once('\t')?;
    let mut facts = facts.split(' ');
    let (_, kind, commit) = (facts.next()?, facts.next()?, facts.next()?);
    (kind == "commit" && is_plain(path)).then(|| (path.to_owned(), commit.to_owned()))
}

/// Whether a path stays below its folder and outside `.git`.
fn is_plain(path: &str) -> bool {
    let is_plain = |part| matches!(part, Component::Normal(name) if !name.eq_ignore_ascii_case(".git"));
    !path.is_empty() && Path::new(path).components().all(is_plain)
}

/// The names of submodules by their paths, from the commit's `.gitmodules`. Names are used as paths, so, like git, this
/// skips names with `..`.
async fn names(own: &OwnRepository) -> Result<HashMap<String, String>, GitError> {
    let blob = format!("--blob={}:.gitmodules", own.head);
    let args = ["--no-includes", "-z", blob.as_str(), "--get-regexp", r"^submodule\..*\.path$"];
    let answer = match own.git().call("config", args).await {
        // The file does not exist or is empty.
        Err(GitError::Failed { .. }) => return Ok(HashMap::new()),
        answer => answer?,
    };
    let mut names = HashMap::new();
    for entry in parts(&answer) {
        let entry = text("config", entry.to_vec())?;
        let Some((key, path)) = entry.split_once('\n') else { continue };
        let Some(name) = key.strip_prefix("submodule.").and_then(|key| key.strip_suffix(".path")) else { continue };
        if is_plain(name) {
            names.insert(path.trim_end_matches('/').to_owned(), name.to_owned());
        }
    }
    Ok(names)
}
