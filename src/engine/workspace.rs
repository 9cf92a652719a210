//! The folder that each attempt has of its own while it is carried out, under the server's data.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::codemod::Workspace;
use crate::model::RunId;

/// All workspaces.
#[derive(Clone, Debug)]
pub struct Workspaces {
    root: PathBuf,
}

impl Workspaces {
    /// Those in this folder.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder they are in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of an attempt, whether it is there or not.
    pub fn of(&self, run: &RunId, attempt: u32) -> PathBuf {
        self.root.join(format!("{run}-{attempt}"))
    }

    /// Makes the folder of an attempt.
    ///
    /// # Errors
    /// The disk.
    pub async fn make(&self, run: &RunId, attempt: u32) -> io::Result<PathBuf> {
        let folder = self.of(run, attempt);
        tokio::fs::create_dir_all(&folder).await?;
        Ok(folder)
    }

    /// Takes away what the attempts of a run have left that nobody carries out any more.
    ///
    /// # Errors
    /// The disk, or git, whose note of a worktree goes too.
    pub async fn forget(&self, run: &RunId) -> io::Result<()> {
        let mut folders = match tokio::fs::read_dir(&self.root).await {
            Ok(folders) => folders,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let of_run = format!("{run}-");
        while let Some(folder) = folders.next_entry().await? {
            if folder.file_name().as_encoded_bytes().starts_with(of_run.as_bytes()) {
                Workspace::discard(&folder.path()).await.map_err(io::Error::other)?;
            }
        }
        Ok(())
    }

    /// Takes away what attempts have left that nobody carries out any more: all but these, when the server starts.
    pub async fn sweep(&self, needed: &[(RunId, u32)]) {
        let needed: HashSet<PathBuf> = needed.iter().map(|(run, attempt)| self.of(run, *attempt)).collect();
        let Ok(mut folders) = tokio::fs::read_dir(&self.root).await else { return };
        while let Ok(Some(folder)) = folders.next_entry().await {
            if !needed.contains(&folder.path()) {
                discard(&folder.path()).await;
            }
        }
    }
}

/// Takes a workspace away. What cannot be taken away is left for the next start.
pub async fn discard(folder: &Path) {
    if let Err(error) = Workspace::discard(folder).await {
        tracing::warn!(folder = %folder.display(), %error, "cannot take a workspace away");
    }
}
