//! Submodules of a commit, and where the local clone has their objects. Nothing is fetched, and no configuration of theirs is read.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::git::{GitError, parts, text};
use super::repository::Repository;
use super::store::Store;

/// A submodule at the commit that is recorded for it.
#[derive(Debug)]
pub struct Submodule {
    /// Where it is, relative to the top of the outermost repository.
    pub path: String,
    /// Where its files go, absolute.
    pub folder: PathBuf,
    /// The commit.
    pub commit: String,
    /// Where its objects are; or a sentence why that is not known.
    pub source: Result<Source, String>,
}

/// A clone of a submodule.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its repository.
    pub git_dir: PathBuf,
    /// Its working tree, if it is known.
    files: Option<PathBuf>,
}

/// Those of the user's repository.
///
/// # Errors
/// [`GitError`].
pub async fn of(
    store: &Store,
    repository: &Repository,
    folder: &Path,
    prefix: &str,
) -> Result<Vec<Submodule>, GitError> {
    let mut holders = vec![repository.git_dir.clone(), repository.common_dir.clone()];
    holders.dedup();
    find(store, &holders, Some(&repository.top), folder, prefix).await
}

/// Those of a submodule.
///
/// # Errors
/// [`GitError`].
pub async fn nested(store: &Store, source: &Source, folder: &Path, prefix: &str) -> Result<Vec<Submodule>, GitError> {
    find(store, std::slice::from_ref(&source.git_dir), source.files.as_deref(), folder, prefix).await
}

async fn find(
    store: &Store,
    holders: &[PathBuf],
    files: Option<&Path>,
    folder: &Path,
    prefix: &str,
) -> Result<Vec<Submodule>, GitError> {
    let list = store.list(Path::new("")).await?;
    let links: Vec<(String, String)> = parts(&list).filter_map(link).collect();
    if links.is_empty() {
        return Ok(Vec::new());
    }
    let names = names(store).await?;
    let module = |(path, commit): (String, String)| {
        let place = files.map(|files| files.join(&path));
        let source = names
            .get(&path)
            .into_iter()
            .flat_map(|name| holders.iter().map(move |holder| holder.join("modules").join(name)))
            // One that is a repository inside another one, as old versions of git made them.
            .chain(place.iter().map(|place| place.join(".git")))
            .find(|git_dir| {
                git_dir.join("objects").is_dir() && git_dir.symlink_metadata().is_ok_and(|facts| facts.is_dir())
            });
        let source = source.map(|git_dir| Source { git_dir, files: place }).ok_or_else(|| {
            "a submodule that is not in the local clone; run `git submodule update --init --recursive`".to_owned()
        });
        let full = if prefix.is_empty() { path.clone() } else { format!("{prefix}/{path}") };
        Submodule { path: full, folder: folder.join(&path), commit, source }
    };
    Ok(links.into_iter().map(module).collect())
}

/// Path and commit of a line of `git ls-tree`, if it is a submodule.
fn link(line: &[u8]) -> Option<(String, String)> {
    let line = std::str::from_utf8(line).ok()?;
    let (facts, path) = line.split_once('\t')?;
    let mut facts = facts.split(' ');
    let (_, kind, commit) = (facts.next()?, facts.next()?, facts.next()?);
    (kind == "commit" && is_plain(path)).then(|| (path.to_owned(), commit.to_owned()))
}

/// Whether a path stays below its folder.
fn is_plain(path: &str) -> bool {
    let is_plain = |part| matches!(part, Component::Normal(name) if !name.eq_ignore_ascii_case(".git"));
    !path.is_empty() && Path::new(path).components().all(is_plain)
}

/// The names of submodules by their paths, from the commit's `.gitmodules`. A name is the part of a path, so one that leads
/// elsewhere is left out, as git does.
async fn names(store: &Store) -> Result<HashMap<String, String>, GitError> {
    let blob = format!("--blob={}:.gitmodules", store.head);
    let args = ["--no-includes", "-z", blob.as_str(), "--get-regexp", r"^submodule\..*\.path$"];
    let answer = match store.git().call("config", args).await {
        // There is no such file, or nothing in it.
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
