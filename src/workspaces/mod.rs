//! The folders that attempts have below the server's data folder. Each has a workspace, in which commands may leave
//! anything, and beside it a folder with an [`AttemptInfo`] for the phases of built-in pipelines. The server reads
//! neither of them.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, fchown};
use std::path::{Path, PathBuf};

use crate::confined_fs::{Folder, Owner};
use crate::model::{ApprovalDecision, AttemptInfo, RunId};

/// The folders of all attempts.
#[derive(Clone, Debug)]
pub struct Workspaces {
    root: PathBuf,
    info_root: PathBuf,
    /// The user that commands run as, if it is not the server's.
    owner: Option<Owner>,
}

impl Workspaces {
    /// Workspaces in `root`. Attempt infos are in a folder beside it.
    pub fn new(root: PathBuf) -> Self {
        let info_root = AttemptInfo::root(&root);
        Self { root, info_root, owner: None }
    }

    /// The same folders, for commands that run as another user.
    #[must_use]
    pub fn for_owner(self, owner: Option<Owner>) -> Self {
        Self { owner, ..self }
    }

    /// The parents of all folders of attempts.
    pub fn roots(&self) -> [PathBuf; 2] {
        [self.root.clone(), self.info_root.clone()]
    }

    /// Gives a folder to the user that commands run as.
    ///
    /// # Errors
    /// The system's.
    pub fn give(&self, folder: &Folder) -> io::Result<()> {
        self.owner.map_or(Ok(()), |owner| folder.give_to(owner))
    }

    /// The parent of all workspaces.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path of an attempt's workspace, whether it exists or not.
    pub fn path(&self, run: &RunId, attempt: u32) -> PathBuf {
        self.root.join(folder_name(run, attempt))
    }

    /// Creates the folders of an attempt. Opens them instead if the attempt has begun (`is_kept`): it resumes after an
    /// approval, or another server has executed it until now.
    ///
    /// # Errors
    /// The disk's, or the workspace is no longer a folder.
    pub async fn make(&self, run: &RunId, attempt: u32, info: AttemptInfo, is_kept: bool) -> io::Result<Folder> {
        let (this, name) = (self.clone(), PathBuf::from(folder_name(run, attempt)));
        blocking(move || {
            let (workspaces, infos) = (private_folder(&this.root)?, private_folder(&this.info_root)?);
            if !is_kept {
                // Only a command of another run can have created something of this name.
                workspaces.remove_tree(&name)?;
                infos.remove_tree(&name)?;
            }
            let workspace = workspaces.make_folder(&name)?;
            if let Some(answer) = &info.answer {
                this.write_file(&workspace, ApprovalDecision::FILE_NAME, &serde_json::to_vec(answer)?)?;
            }
            let own = infos.make_folder(&name)?;
            this.write_file(&own, AttemptInfo::FILE, &serde_json::to_vec(&info)?)?;
            this.give(&workspace)?;
            this.give(&own)?;
            Ok(workspace)
        })
        .await
    }

    /// Writes a file that commands may read.
    fn write_file(&self, folder: &Folder, name: &str, bytes: &[u8]) -> io::Result<()> {
        let owner = self.owner;
        folder.write_with(Path::new(name), 0o600, |file| {
            if let Some(Owner { user, group }) = owner {
                fchown(&*file, Some(user), Some(group))?;
            }
            file.write_all(bytes)
        })
    }

    /// Removes the folders of an attempt. What cannot be removed is left to the sweep of the next start.
    pub async fn discard(&self, run: &RunId, attempt: u32) {
        let name = folder_name(run, attempt);
        for root in [&self.root, &self.info_root] {
            let (root, name) = (root.clone(), name.clone());
            let removed = blocking({
                let (root, name) = (root.clone(), name.clone());
                move || remove(&root, &name)
            });
            if let Err(error) = removed.await {
                tracing::warn!(folder = %root.join(name).display(), %error, "cannot remove a folder of an ended attempt");
            }
        }
    }

    /// Removes the folders of all attempts of a run.
    ///
    /// # Errors
    /// The disk's. The call may be repeated.
    pub async fn forget(&self, run: &RunId) -> io::Result<()> {
        let (this, of_run) = (self.clone(), format!("{run}-"));
        blocking(move || {
            for root in [&this.root, &this.info_root] {
                let names = names(root)?;
                let names = names.iter().filter(|name| name.as_encoded_bytes().starts_with(of_run.as_bytes()));
                names.into_iter().try_for_each(|name| remove(root, name))?;
            }
            Ok(())
        })
        .await
    }

    /// Removes the folders of all attempts but those with these names. Called when the server starts, before it
    /// executes anything.
    pub async fn sweep(&self, needed: &HashSet<OsString>) {
        let needed = needed.clone();
        let this = self.clone();
        let swept = blocking(move || {
            for root in [&this.root, &this.info_root] {
                for name in names(root)?.iter().filter(|name| !needed.contains(*name)) {
                    if let Err(error) = remove(root, name) {
                        let folder = root.join(name);
                        tracing::warn!(folder = %folder.display(), %error, "cannot remove a folder of an ended attempt");
                    }
                }
            }
            Ok(())
        });
        if let Err(error) = swept.await {
            tracing::warn!(root = %self.root.display(), %error, "cannot list the folders of ended attempts");
        }
    }
}

/// The name of an attempt's folders.
pub fn folder_name(run: &RunId, attempt: u32) -> OsString {
    format!("{run}-{attempt}").into()
}

/// The entries of a folder of the server's; none if the folder does not exist.
fn names(root: &Path) -> io::Result<Vec<OsString>> {
    match Folder::open(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        folder => folder?.names(),
    }
}

/// Removes an entry of a folder of the server's. Succeeds if there is none.
///
/// # Errors
/// The disk's.
pub fn remove(root: &Path, name: &OsStr) -> io::Result<()> {
    match Folder::open(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        folder => folder?.remove_tree(Path::new(name)),
    }
}

/// Opens a folder of the server's. Creates it, with access for its owner only, if it does not exist.
///
/// # Errors
/// The disk's.
#[expect(clippy::disallowed_methods, reason = "the folder is Runtrail's own, in its data folder")]
pub fn private_folder(path: &Path) -> io::Result<Folder> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    Folder::open(path)
}

/// Runs blocking file work outside the async runtime's threads.
///
/// # Errors
/// Those of the work.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
