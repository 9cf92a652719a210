//! The folders that each attempt has while it is carried out, under the server's data: a workspace, in which commands may leave
//! anything, and one beside it with the notes of the built-in phases ([`Notes`]). The server reads nothing of either.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, fchown};
use std::path::{Path, PathBuf};

use crate::codemod::Notes;
use crate::confined_fs::{Folder, Owner};
use crate::model::{ApprovalDecision, RunId};

/// All workspaces.
#[derive(Clone, Debug)]
pub struct Workspaces {
    root: PathBuf,
    notes: PathBuf,
    /// Who commands run as, if it is not the server's user.
    owner: Option<Owner>,
}

impl Workspaces {
    /// Those in this folder. Notes are in the folder `attempts` beside it.
    pub fn new(root: PathBuf) -> Self {
        let notes = Notes::root(&root);
        Self { root, notes, owner: None }
    }

    /// The same, for commands that run as somebody else.
    #[must_use]
    pub fn for_owner(self, owner: Option<Owner>) -> Self {
        Self { owner, ..self }
    }

    /// The folders that the folders of attempts are in.
    pub fn roots(&self) -> [PathBuf; 2] {
        [self.root.clone(), self.notes.clone()]
    }

    /// Gives a folder to whom commands run as.
    pub(super) fn give(&self, folder: &Folder) -> io::Result<()> {
        self.owner.map_or(Ok(()), |owner| folder.give_to(owner))
    }

    /// The folder they are in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The workspace of an attempt, whether it is there or not.
    pub fn of(&self, run: &RunId, attempt: u32) -> PathBuf {
        self.root.join(name_of(run, attempt))
    }

    /// Makes the folders of an attempt, or opens them if it goes on after an answer.
    ///
    /// # Errors
    /// The disk, or the workspace is no folder any more.
    pub async fn make(&self, run: &RunId, attempt: u32, notes: Notes) -> io::Result<Folder> {
        let (this, name) = (self.clone(), PathBuf::from(name_of(run, attempt)));
        blocking(move || {
            let (workspaces, all_notes) = (private_folder(&this.root)?, private_folder(&this.notes)?);
            if notes.answer.is_none() {
                // Nobody has been there but a command of another run.
                workspaces.remove_tree(&name)?;
                all_notes.remove_tree(&name)?;
            }
            let workspace = workspaces.make_folder(&name)?;
            if let Some(answer) = &notes.answer {
                this.leave(&workspace, ApprovalDecision::FILE_NAME, &serde_json::to_vec(answer)?)?;
            }
            let own = all_notes.make_folder(&name)?;
            this.leave(&own, Notes::FILE, &serde_json::to_vec(&notes)?)?;
            this.give(&workspace)?;
            this.give(&own)?;
            Ok(workspace)
        })
        .await
    }

    /// Writes a file for commands to read.
    fn leave(&self, folder: &Folder, name: &str, bytes: &[u8]) -> io::Result<()> {
        let owner = self.owner;
        folder.write_with(Path::new(name), 0o600, |file| {
            if let Some(Owner { user, group }) = owner {
                fchown(&*file, Some(user), Some(group))?;
            }
            file.write_all(bytes)
        })
    }

    /// Removes the folders of an attempt. What cannot be removed is left for the next start.
    pub async fn discard(&self, run: &RunId, attempt: u32) {
        let name = name_of(run, attempt);
        for root in [&self.root, &self.notes] {
            let (root, name) = (root.clone(), name.clone());
            let removed = blocking({
                let (root, name) = (root.clone(), name.clone());
                move || remove(&root, &name)
            });
            if let Err(error) = removed.await {
                tracing::warn!(folder = %root.join(name).display(), %error, "cannot remove what an attempt has left");
            }
        }
    }

    /// Removes what the attempts of a run have left that nobody carries out any more.
    ///
    /// # Errors
    /// The disk.
    pub async fn forget(&self, run: &RunId) -> io::Result<()> {
        let (this, of_run) = (self.clone(), format!("{run}-"));
        blocking(move || {
            for root in [&this.root, &this.notes] {
                let names = names(root)?;
                let names = names.iter().filter(|name| name.as_encoded_bytes().starts_with(of_run.as_bytes()));
                names.into_iter().try_for_each(|name| remove(root, name))?;
            }
            Ok(())
        })
        .await
    }

    /// Removes what attempts have left that nobody carries out any more: all but these, when the server starts.
    pub async fn sweep(&self, needed: &[(RunId, u32)]) {
        let needed: HashSet<OsString> = needed.iter().map(|(run, attempt)| name_of(run, *attempt)).collect();
        let this = self.clone();
        let swept = blocking(move || {
            for root in [&this.root, &this.notes] {
                for name in names(root)?.iter().filter(|name| !needed.contains(*name)) {
                    if let Err(error) = remove(root, name) {
                        let folder = root.join(name);
                        tracing::warn!(folder = %folder.display(), %error, "cannot remove what an attempt has left");
                    }
                }
            }
            Ok(())
        });
        if let Err(error) = swept.await {
            tracing::warn!(%error, "cannot look for what attempts have left");
        }
    }
}

/// The name of an attempt's folders.
pub(super) fn name_of(run: &RunId, attempt: u32) -> OsString {
    format!("{run}-{attempt}").into()
}

/// What there is in a folder of ours; nothing if it is not there.
fn names(root: &Path) -> io::Result<Vec<OsString>> {
    match Folder::open(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        folder => folder?.names(),
    }
}

/// Removes what has this name in a folder of ours. Nothing there is as good.
pub fn remove(root: &Path, name: &OsStr) -> io::Result<()> {
    match Folder::open(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        folder => folder?.remove_tree(Path::new(name)),
    }
}

/// Opens a folder of ours, and makes it if it is not there: for nobody else.
///
/// # Errors
/// The disk.
#[expect(clippy::disallowed_methods, reason = "the folder is Runtrail's own, in its data folder")]
pub fn private_folder(path: &Path) -> io::Result<Folder> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    Folder::open(path)
}

/// Does what may block elsewhere than in the server's own threads.
///
/// # Errors
/// Its own.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
