//! All files of the commit, for checks and linters: as git would check them out, but whole (no sparse patterns), without running
//! any filter, with the contents of Git LFS and the submodules as far as they are in the local clone. What is not is reported.
//!
//! Line ends (`eol`) and encodings (`working-tree-encoding`) are converted by git itself, in both directions of time: the files
//! of a commit, and what patches make of them.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::PhaseError;
use super::git::{Git, GitError, parts, run};
use super::lfs::{self, Large};
use super::store::{Store, borrow_objects, index_info, init};
use super::submodules;
use super::workspace::{Tree, Workspace, named};
use crate::confined_fs::Folder;

/// What the first phase leaves to the later ones.
const CHECKOUT: &str = "checkout.json";

/// How many of the missing files a message names.
const NAMED: usize = 20;

/// See the module's comment.
#[derive(Debug, Serialize, Deserialize)]
pub struct Checkout {
    /// The repository's own files first, then those of its submodules.
    parts: Vec<Part>,
    /// What could not be provided.
    pub missing: Vec<Missing>,
}

/// The files of one repository.
#[derive(Debug, Serialize, Deserialize)]
struct Part {
    store: Store,
    /// Where they are, below the checkout.
    below: PathBuf,
    /// Those that git does not know the content of.
    large: Vec<Large>,
}

/// A file or folder that is not as it should be in the checkout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Relative to the repository's top.
    pub path: String,
    /// What it is, and what to do.
    pub reason: String,
}

impl Checkout {
    /// Makes it.
    ///
    /// # Errors
    /// The disk, or [`GitError`].
    pub async fn make(workspace: &Workspace, tree: &Tree) -> Result<Self, PhaseError> {
        let (files, allowed) = (workspace.files()?, workspace.allowed());
        let mut all = Self { parts: Vec::new(), missing: Vec::new() };
        let repository = &tree.repository;
        let large_of = |git_dir: &Folder| git_dir.join(Path::new("lfs/objects"));
        let stores = [large_of(&repository.common_dir)];
        let large = all.fill(&tree.store, &files, "", &stores).await?;
        all.parts.push(Part { store: tree.store.clone(), below: PathBuf::new(), large });
        let mut due = submodules::of(&tree.store, repository, allowed, "").await?;
        let mut number = 0;
        while let Some(module) = due.pop() {
            number += 1;
            let found = match module.source {
                Ok(found) => found,
                Err(reason) => {
                    all.missing.push(Missing { path: module.path, reason });
                    continue;
                }
            };
            let below = PathBuf::from(&module.path);
            // One of the commit's own.
            let Ok(folder) = files.make_folder(&below) else {
                let reason = "a submodule in the place of a link, which is not followed".to_owned();
                all.missing.push(Missing { path: module.path, reason });
                continue;
            };
            let objects = found.git_dir.join(Path::new("objects"));
            let git_dir = workspace.module(number);
            let store =
                Store::make(&git_dir, &objects, Some(&found.git_dir), &repository.format, &module.commit).await?;
            let is_there = store.git().call("cat-file", ["-e", &format!("{}^{{tree}}", module.commit)]).await.is_ok();
            let entries = if is_there { store.list(Path::new("")).await? } else { Vec::new() };
            let blobs = parts(&entries).filter_map(blob);
            if !is_there || !store.missing(blobs).await?.is_empty() {
                let commit = module.commit.get(..12).unwrap_or(&module.commit);
                let reason = format!(
                    "a submodule whose commit {commit} is not in the local clone; run `git submodule update --init --recursive`"
                );
                all.missing.push(Missing { path: module.path, reason });
                continue;
            }
            let stores = [large_of(&found.git_dir), large_of(&repository.common_dir)];
            let large = all.fill(&store, &folder, &module.path, &stores).await?;
            due.extend(submodules::nested(&store, &found, allowed, &module.path).await?);
            all.parts.push(Part { store, below, large });
        }
        all.missing.sort_by(|a, b| a.path.cmp(&b.path));
        show_repository(tree, &files, &all.parts[0].large).await?;
        workspace.save(CHECKOUT, &all)?;
        Ok(all)
    }

    /// The one that [`Self::make`] made.
    ///
    /// # Errors
    /// The disk.
    pub fn load(workspace: &Workspace) -> io::Result<Self> {
        workspace.load(CHECKOUT)
    }

    /// Checks the files of one repository out. Those of Git LFS are returned.
    async fn fill(
        &mut self,
        store: &Store,
        folder: &Folder,
        prefix: &str,
        large_stores: &[PathBuf],
    ) -> Result<Vec<Large>, PhaseError> {
        let git = store.git_in(folder);
        git.call("read-tree", [&store.head]).await?;
        let said = run("checkout-index", git.command("checkout-index", ["-a", "-f", "-u", "-q"]), None).await?.stderr;
        let full = |path: &str| if prefix.is_empty() { path.to_owned() } else { format!("{prefix}/{path}") };
        for line in String::from_utf8_lossy(&said).lines() {
            // failed to encode 'path' from UTF-8 to X
            if let Some((path, rest)) =
                line.split_once("failed to encode '").and_then(|(_, rest)| rest.rsplit_once("' from"))
            {
                let reason =
                    format!("it cannot be written in its working-tree-encoding (from{rest}), so it is in UTF-8");
                self.missing.push(Missing { path: full(path), reason });
            }
        }
        let mut large = Vec::new();
        for (path, attribute, value) in attributes(&git).await? {
            let place = PathBuf::from(OsStr::from_bytes(&path));
            let path = String::from_utf8_lossy(&path).into_owned();
            match (attribute.as_str(), value.as_str()) {
                // Git has converted it, or said that it cannot.
                ("working-tree-encoding", _) => {}
                ("filter", "lfs") => match lfs::provide(folder, &place, large_stores) {
                    Ok(Some(provided)) => large.push(provided),
                    // No pointer: its content is committed.
                    Ok(None) => {}
                    Err(reason) => self.missing.push(Missing { path: full(&path), reason }),
                },
                (_, filter) => {
                    let reason = format!("git's filter `{filter}` is not run, so it is as it is committed");
                    self.missing.push(Missing { path: full(&path), reason });
                }
            }
        }
        if !large.is_empty() {
            // Git would take what is there now for a change.
            let none = "0".repeat(store.head.len());
            let gone = index_info(large.iter().map(|large| ("0", none.as_str(), large.place.as_path())));
            git.call_with("update-index", ["-z", "--index-info"], &gone).await?;
        }
        Ok(large)
    }

    /// Makes all files again what they were, or were set to, where somebody has changed them; how many those were. Files that are
    /// in no commit stay: they are what builds reuse.
    ///
    /// # Errors
    /// The disk, or [`GitError`].
    pub async fn restore(&self, files: &Folder) -> Result<usize, PhaseError> {
        let mut changed = 0;
        for part in &self.parts {
            let folder = files.clear_folder(&part.below).map_err(|error| named(&files.join(&part.below), error))?;
            let git = part.store.git_in(&folder);
            let differ =
                git.call("diff-files", ["--name-only", "-z", "--no-ext-diff", "--ignore-submodules=all"]).await?;
            let differ = parts(&differ).count();
            if differ > 0 {
                git.call("checkout-index", ["-a", "-f", "-u", "-q"]).await?;
            }
            changed += differ;
            for large in &part.large {
                changed += usize::from(large.restore(&folder)?);
            }
        }
        Ok(changed)
    }

    /// Makes files of the repository these: mode, object, path below its top.
    ///
    /// # Errors
    /// [`GitError`]; it names the file.
    pub async fn set(&self, folder: &Folder, files: &[(&str, &str, PathBuf)]) -> Result<(), GitError> {
        if files.is_empty() {
            return Ok(());
        }
        let git = self.parts[0].store.git_in(folder);
        let entries = files.iter().map(|(mode, object, path)| (*mode, *object, path.as_path()));
        git.call_with("update-index", ["-z", "--index-info"], &index_info(entries)).await?;
        let paths: Vec<u8> =
            files.iter().flat_map(|(_, _, path)| [path.as_os_str().as_bytes(), b"\0"].concat()).collect();
        git.call_with("checkout-index", ["-f", "-u", "-q", "-z", "--stdin"], &paths).await.map(drop)
    }

    /// What is missing, for a sentence; `None` if nothing is.
    pub fn lacks(&self) -> Option<String> {
        if self.missing.is_empty() {
            return None;
        }
        let mut lines: Vec<String> =
            self.missing.iter().take(NAMED).map(|missing| format!("  {}: {}", missing.path, missing.reason)).collect();
        if self.missing.len() > NAMED {
            lines.push(format!("  and {} more", self.missing.len() - NAMED));
        }
        Some(lines.join("\n"))
    }
}

/// The object of a line of `git ls-tree`, if it is a file's.
pub fn blob(line: &[u8]) -> Option<&str> {
    let facts = std::str::from_utf8(line.split(|byte| *byte == b'\t').next()?).ok()?;
    let mut facts = facts.split(' ');
    let (_, kind, object) = (facts.next()?, facts.next()?, facts.next()?);
    (kind == "blob").then_some(object)
}

/// The attributes of files that change what a checkout makes of them: path, attribute, value.
async fn attributes(git: &Git) -> Result<Vec<(Vec<u8>, String, String)>, GitError> {
    let paths = git.call("ls-files", ["-z"]).await?;
    let args = ["--cached", "-z", "--stdin", "filter", "working-tree-encoding"];
    let answer = git.call_with("check-attr", args, &paths).await?;
    let mut answer = answer.split(|byte| *byte == 0);
    let mut found = Vec::new();
    while let (Some(path), Some(attribute), Some(value)) = (answer.next(), answer.next(), answer.next()) {
        let value = String::from_utf8_lossy(value).into_owned();
        if !["unspecified", "unset", "set"].contains(&value.as_str()) {
            found.push((path.to_vec(), String::from_utf8_lossy(attribute).into_owned(), value));
        }
    }
    Ok(found)
}

/// Puts a repository into the checkout for programs that ask for one: at the commit, with the user's references and objects to
/// read, and with nothing else of theirs. Runtrail itself never asks it.
#[expect(
    clippy::disallowed_methods,
    reason = "no command has run in the checkout yet, and no commit has an entry `.git`"
)]
async fn show_repository(tree: &Tree, files: &Folder, large: &[Large]) -> Result<(), PhaseError> {
    let (git_dir, files) = (files.join(Path::new(".git")), files.path());
    let repository = &tree.repository;
    let git = Git::new_with_files(&git_dir, files);
    init(git.command("init", ["--quiet", "--template="]), &git_dir, &repository.format).await?;
    borrow_objects(&git_dir, repository.objects(), Some(&repository.common_dir))?;
    std::fs::write(git_dir.join("packed-refs"), repository.references().await?)?;
    std::fs::write(git_dir.join("HEAD"), format!("{}\n", repository.head))?;
    if large.is_empty() {
        std::fs::copy(tree.store.index(), git_dir.join("index"))?;
        return Ok(());
    }
    git.call("read-tree", [&repository.head]).await?;
    let refreshed = git.call("update-index", ["-q", "--refresh"]).await;
    // It says no if there is something that differs.
    if let Err(error) = refreshed
        && !matches!(error, GitError::Failed { .. })
    {
        return Err(error.into());
    }
    let paths = large.iter().map(|large| large.place.as_os_str().as_bytes());
    let paths: Vec<u8> = paths.flat_map(|path| [path, b"\0"].concat()).collect();
    git.call_with("update-index", ["--assume-unchanged", "-z", "--stdin"], &paths).await?;
    Ok(())
}
