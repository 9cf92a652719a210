//! The checkout while checks and linters work in it: which files differ from the commit, and how they become so.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::PhaseError;
use super::checkout::Checkout;
use super::code::Code;
use super::git::parts;
use super::workspace::{Tree, Workspace, named};
use crate::confined_fs::Folder;

/// Files that differ from the commit: path below the folder that is searched, object.
pub type Changed = BTreeMap<String, String>;

/// See the module's comment.
pub struct Trial<'a> {
    /// The checkout.
    pub checkout: Checkout,
    tree: &'a Tree,
    code: &'a Code,
    workspace: &'a Workspace,
    now: Changed,
}

impl<'a> Trial<'a> {
    /// Takes the checkout as the phase before has left it.
    ///
    /// # Errors
    /// The disk, or git.
    pub async fn open(workspace: &'a Workspace, tree: &'a Tree, code: &'a Code) -> Result<Self, PhaseError> {
        let (checkout, files) = (Checkout::load(workspace)?, workspace.files()?);
        let args = ["--cached", "--raw", "-z", "--no-renames", &tree.store.head];
        let answer = tree.store.git_in(&files).call("diff-index", args).await?;
        let mut answer = parts(&answer);
        let mut now = Changed::new();
        while let (Some(facts), Some(path)) = (answer.next(), answer.next()) {
            let (facts, path) = (String::from_utf8_lossy(facts), String::from_utf8_lossy(path));
            let facts: Vec<&str> = facts.split(' ').collect();
            let below = Path::new(path.as_ref()).strip_prefix(&tree.repository.prefix).ok().and_then(Path::to_str);
            // What is deleted is a file of Git LFS, which the index does not have.
            if let ([_, _, _, object, "M"], Some(path)) = (facts.as_slice(), below) {
                now.insert(path.to_owned(), (*object).to_owned());
            }
        }
        Ok(Self { checkout, tree, code, workspace, now })
    }

    /// The folder that is searched, as it is now.
    ///
    /// # Errors
    /// It is not there, or a link is in its place.
    pub fn root(&self) -> io::Result<Folder> {
        let (files, prefix) = (self.workspace.files()?, &self.tree.repository.prefix);
        files.folder(prefix).map_err(|error| named(&files.join(prefix), error))
    }

    /// The top of the checkout.
    ///
    /// # Errors
    /// The disk.
    pub fn top(&self) -> io::Result<Folder> {
        self.workspace.files()
    }

    /// Puts texts among git's objects; their names, in order.
    ///
    /// # Errors
    /// Git.
    pub async fn keep(&self, texts: impl Iterator<Item = &str>) -> Result<Vec<String>, PhaseError> {
        Ok(self.tree.store.keep(texts.map(str::as_bytes)).await?)
    }

    /// Undoes what programs have changed; how many files those were.
    ///
    /// # Errors
    /// The disk, or git.
    pub async fn restore(&self) -> Result<usize, PhaseError> {
        self.checkout.restore(&self.workspace.files()?).await
    }

    /// Makes the files so: these differ from the commit, and no others do. What is so already is not written again.
    ///
    /// # Errors
    /// Git; it names the file.
    pub async fn show(&mut self, wanted: Changed) -> Result<(), PhaseError> {
        let committed = |path: &str| self.code.entry(path);
        let mut files = Vec::new();
        for (path, object) in wanted.iter().filter(|(path, object)| self.now.get(*path) != Some(*object)) {
            files.push((path, object.as_str()));
        }
        for path in self.now.keys().filter(|path| !wanted.contains_key(*path)) {
            files.extend(committed(path).map(|entry| (path, entry.object.as_str())));
        }
        let files = files.into_iter().filter_map(|(path, object)| {
            Some((committed(path)?.mode.as_str(), object, self.tree.repository.prefix.join(path)))
        });
        let files: Vec<(&str, &str, PathBuf)> = files.collect();
        self.checkout.set(&self.workspace.files()?, &files).await?;
        self.now = wanted;
        Ok(())
    }
}
