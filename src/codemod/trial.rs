//! The checkout while checks and linters run in it: which files differ from the commit, and how they are changed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::checkout::Checkout;
use super::commit_files::CommitFiles;
use super::error::PhaseError;
use super::git::parts;
use super::workspace::{Repositories, Workspace};
use super::workspace_error::with_path;
use crate::confined_fs::Folder;

/// Files that differ from the commit: their git objects, by path below the searched folder.
pub type ChangedObjects = BTreeMap<String, String>;

/// See the module's comment.
pub struct Trial<'a> {
    pub checkout: Checkout,
    repositories: &'a Repositories,
    commit: &'a CommitFiles,
    workspace: &'a Workspace,
    current: ChangedObjects,
}

impl<'a> Trial<'a> {
    /// Opens the checkout in the state in which the previous phase left it.
    ///
    /// # Errors
    /// Git or the disk fails.
    pub async fn open(
        workspace: &'a Workspace,
        repositories: &'a Repositories,
        commit: &'a CommitFiles,
    ) -> Result<Self, PhaseError> {
        let (checkout, files) = (Checkout::load(workspace)?, workspace.checkout()?);
        let args = ["--cached", "--raw", "-z", "--no-renames", &repositories.own.head];
        let answer = repositories.own.git_in(&files).call("diff-index", args).await?;
        let mut answer = parts(&answer);
        let mut current = ChangedObjects::new();
        while let (Some(facts), Some(path)) = (answer.next(), answer.next()) {
            let (facts, path) = (String::from_utf8_lossy(facts), String::from_utf8_lossy(path));
            let facts: Vec<&str> = facts.split(' ').collect();
            let below = Path::new(path.as_ref()).strip_prefix(&repositories.users.prefix).ok().and_then(Path::to_str);
            // Deleted entries are Git LFS files, which are not in the index.
            if let ([_, _, _, object, "M"], Some(path)) = (facts.as_slice(), below) {
                current.insert(path.to_owned(), (*object).to_owned());
            }
        }
        Ok(Self { checkout, repositories, commit, workspace, current })
    }

    /// The searched folder in the checkout.
    ///
    /// # Errors
    /// It does not exist, or a link has replaced it.
    pub fn root(&self) -> io::Result<Folder> {
        let (files, prefix) = (self.workspace.checkout()?, &self.repositories.users.prefix);
        files.folder(prefix).map_err(|error| with_path(&files.join(prefix), error))
    }

    /// The top of the checkout.
    ///
    /// # Errors
    /// I/O errors.
    pub fn top(&self) -> io::Result<Folder> {
        self.workspace.checkout()
    }

    /// Stores texts as git objects; their names, in the same order.
    ///
    /// # Errors
    /// Git fails.
    pub async fn store_texts(&self, texts: impl Iterator<Item = &str>) -> Result<Vec<String>, PhaseError> {
        Ok(self.repositories.own.store_blobs(texts.map(str::as_bytes)).await?)
    }

    /// Undoes changes by programs; the number of changed files.
    ///
    /// # Errors
    /// Git or the disk fails.
    pub async fn restore(&self) -> Result<usize, PhaseError> {
        self.checkout.restore(&self.workspace.checkout()?).await
    }

    /// Changes the checkout so that exactly these files differ from the commit. Files that already match are not
    /// written.
    ///
    /// # Errors
    /// Git fails; the error names the file.
    pub async fn show(&mut self, wanted: ChangedObjects) -> Result<(), PhaseError> {
        let committed = |path: &str| self.commit.entry(path);
        let mut files = Vec::new();
        for (path, object) in wanted.iter().filter(|(path, object)| self.current.get(*path) != Some(*object)) {
            files.push((path, object.as_str()));
        }
        for path in self.current.keys().filter(|path| !wanted.contains_key(*path)) {
            files.extend(committed(path).map(|entry| (path, entry.object.as_str())));
        }
        let files = files.into_iter().filter_map(|(path, object)| {
            Some((committed(path)?.mode.as_str(), object, self.repositories.users.prefix.join(path)))
        });
        let files: Vec<(&str, &str, PathBuf)> = files.collect();
        self.checkout.set(&self.workspace.checkout()?, &files).await?;
        self.current = wanted;
        Ok(())
    }
}
