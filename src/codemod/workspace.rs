//! The folder of one attempt of a built-in pipeline: its linked worktree, and what one phase leaves to the next.

use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::git::{GitError, Repository};

/// Which repository the worktree belongs to. Written before the worktree is made, so that it is found whatever happens.
const REPOSITORY: &str = "repository.json";

/// See the module's comment.
#[derive(Clone, Debug)]
pub struct Workspace {
    folder: PathBuf,
}

/// What the first phase has set up.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Tree {
    /// The user's repository.
    pub repository: Repository,
    /// Our worktree of it.
    pub worktree: PathBuf,
}

impl Tree {
    /// The folder that is searched: in our worktree what the project is in the user's.
    pub fn root(&self) -> PathBuf {
        self.worktree.join(&self.repository.prefix)
    }
}

impl Workspace {
    /// The workspace in this folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Makes a worktree of the repository's commit: with its files if they are needed, which takes far longer than to search them.
    ///
    /// # Errors
    /// The disk, or [`GitError`].
    pub async fn make_tree(&self, repository: Repository, files: bool) -> Result<Tree, WorkspaceError> {
        // Git names a worktree after the last part of its path, and that must be unique in the repository.
        let name = self.folder.file_name().unwrap_or_default();
        let tree = Tree { repository, worktree: self.folder.join(name) };
        self.save(REPOSITORY, &tree)?;
        tree.repository.add_worktree(&tree.worktree, files).await?;
        Ok(tree)
    }

    /// What [`Self::make_tree`] made.
    ///
    /// # Errors
    /// The disk.
    pub fn tree(&self) -> io::Result<Tree> {
        self.load(REPOSITORY)
    }

    /// Leaves something for a later phase. It is on the disk, or the earlier one of that name is.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self, name: &str, what: &impl Serialize) -> io::Result<()> {
        let new = self.folder.join(format!("{name}.new"));
        let mut out = BufWriter::new(std::fs::File::create(&new)?);
        serde_json::to_writer(&mut out, what)?;
        out.flush()?;
        std::fs::rename(new, self.folder.join(name))
    }

    /// What an earlier phase has left.
    ///
    /// # Errors
    /// The disk, or it is not there.
    pub fn load<T: DeserializeOwned>(&self, name: &str) -> io::Result<T> {
        let file = std::fs::File::open(self.folder.join(name))?;
        Ok(serde_json::from_reader(BufReader::new(file))?)
    }

    /// Takes away what this attempt has left: the worktree, then the folder. Nothing there is as good.
    ///
    /// # Errors
    /// The disk, or [`GitError`]. It may be called again.
    pub async fn discard(folder: &Path) -> Result<(), WorkspaceError> {
        match Self::new(folder.to_owned()).tree() {
            // The user may have taken the repository away meanwhile, and git's note of the worktree with it.
            Ok(tree) if tree.repository.top.exists() => tree.repository.remove_worktree(&tree.worktree).await?,
            Ok(_) => {}
            // It may be any pipeline's.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        match tokio::fs::remove_dir_all(folder).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Why a workspace cannot be made or taken away.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// The disk.
    #[error("the workspace cannot be written or read: {0}")]
    Disk(#[from] io::Error),
    /// Git.
    #[error(transparent)]
    Git(#[from] GitError),
}
