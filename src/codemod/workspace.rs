//! The folder of one attempt of a built-in pipeline: Runtrail's own repository and checkout, and what one phase leaves to the next.

use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::git::GitError;
use super::repository::Repository;
use super::store::Store;

/// What the first phase has set up.
const REPOSITORY: &str = "repository.json";

/// Our repository.
const STORE: &str = "store.git";

/// Our checkout. Few programs have a folder of that name, and logs show it.
const FILES: &str = "checkout";

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
    /// Ours, at the same commit.
    pub store: Store,
}

impl Workspace {
    /// The workspace in this folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Makes our repository of the commit.
    ///
    /// # Errors
    /// The disk, or [`GitError`].
    pub async fn make_tree(&self, repository: Repository) -> Result<Tree, WorkspaceError> {
        let shallow = repository.common_dir.join("shallow");
        let (objects, format) = (repository.objects(), repository.format.as_str());
        let store = Store::make(&self.folder.join(STORE), &objects, Some(&shallow), format, &repository.head).await?;
        let tree = Tree { repository, store };
        self.save(REPOSITORY, &tree)?;
        Ok(tree)
    }

    /// What [`Self::make_tree`] made.
    ///
    /// # Errors
    /// The disk.
    pub fn tree(&self) -> io::Result<Tree> {
        self.load(REPOSITORY)
    }

    /// Where the files of the checkout are, if it has been made.
    pub fn files(&self) -> PathBuf {
        self.folder.join(FILES)
    }

    /// Where the repositories of submodules are.
    pub fn module(&self, number: usize) -> PathBuf {
        self.folder.join(format!("module-{number}.git"))
    }

    /// Leaves something for a later phase. It is on the disk, or the earlier one of that name is.
    ///
    /// # Errors
    /// The disk.
    pub fn save(&self, name: &str, what: &impl Serialize) -> io::Result<()> {
        let (new, path) = (self.folder.join(format!("{name}.new")), self.folder.join(name));
        let write = || {
            let mut out = BufWriter::new(std::fs::File::create(&new)?);
            serde_json::to_writer(&mut out, what)?;
            out.flush()?;
            std::fs::rename(&new, &path)
        };
        write().map_err(|error| named(&path, error))
    }

    /// What an earlier phase has left.
    ///
    /// # Errors
    /// The disk, or it is not there.
    pub fn load<T: DeserializeOwned>(&self, name: &str) -> io::Result<T> {
        let path = self.folder.join(name);
        let read = || Ok(serde_json::from_reader(BufReader::new(std::fs::File::open(&path)?))?);
        read().map_err(|error| named(&path, error))
    }

    /// Takes away what this attempt has left. Nothing there is as good.
    ///
    /// # Errors
    /// The disk. It may be called again.
    pub async fn discard(folder: &Path) -> Result<(), WorkspaceError> {
        match tokio::fs::remove_dir_all(folder).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(folder, error).into()),
            _ => Ok(()),
        }
    }
}

/// The same error, with the file that it is about.
pub fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
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
