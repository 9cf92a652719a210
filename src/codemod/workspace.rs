//! The folders of one attempt of a built-in pipeline. The one that every command gets has the checkout. Runtrail's own repository, and
//! what one phase leaves to the next, are beside it (see [`Notes`]): nothing is read from where commands write but files of the
//! checkout.

use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::allowed::Allowed;
use super::git::GitError;
use super::notes::Notes;
use super::repository::{Repository, Saved};
use super::store::Store;
use crate::confined_fs::Folder;
use crate::model::ApprovalDecision;

/// What the first phase has set up.
const REPOSITORY: &str = "repository.json";

/// Our repository.
const STORE: &str = "store.git";

/// Our checkout. Few programs have a folder of that name, and logs show it.
const FILES: &str = "checkout";

/// See the module's comment.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Where commands may leave anything.
    commands: Folder,
    /// Where phases leave what later ones go by, which no command is told of.
    own: PathBuf,
    /// Where runs may work.
    allowed: Allowed,
    /// What a person has answered.
    answer: Option<ApprovalDecision>,
}

/// What the first phase has set up.
#[derive(Debug)]
pub struct Tree {
    /// The user's repository.
    pub repository: Repository,
    /// Ours, at the same commit.
    pub store: Store,
}

/// The same for later phases.
#[derive(serde::Serialize, serde::Deserialize)]
struct SavedTree {
    repository: Saved,
    store: Store,
}

impl Workspace {
    /// That of the attempt with this workspace.
    ///
    /// # Errors
    /// The disk, or the server has made no such attempt.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let none = || io::Error::new(io::ErrorKind::NotFound, "this is no workspace of a run");
        let own = Notes::folder(folder).ok_or_else(none)?;
        let (root, name) = folder.parent().zip(folder.file_name()).ok_or_else(none)?;
        let commands = Folder::open(root).and_then(|root| root.folder(Path::new(name)));
        let commands = commands.map_err(|error| named(folder, error))?;
        let Notes { projects, answer } = load(&own.join(Notes::FILE))?;
        Ok(Self { commands, own, allowed: Allowed::new(projects), answer })
    }

    /// Where runs may work.
    pub fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// What a person has answered, if one was asked.
    pub fn answer(&self) -> Option<&ApprovalDecision> {
        self.answer.as_ref()
    }

    /// Makes our repository of the commit.
    ///
    /// # Errors
    /// The disk, or [`GitError`].
    pub async fn make_tree(&self, repository: Repository) -> Result<Tree, WorkspaceError> {
        let (objects, format) = (repository.objects(), repository.format.as_str());
        let shallow = Some(&repository.common_dir);
        let store = Store::make(&self.own.join(STORE), objects, shallow, format, &repository.head).await?;
        self.save(REPOSITORY, &SavedTree { repository: repository.saved()?, store: store.clone() })?;
        Ok(Tree { repository, store })
    }

    /// What [`Self::make_tree`] made.
    ///
    /// # Errors
    /// The disk, or the repository is not the same any more.
    pub fn tree(&self) -> Result<Tree, WorkspaceError> {
        let SavedTree { repository, store } = self.load(REPOSITORY)?;
        Ok(Tree { repository: Repository::open_again(repository, &self.allowed)?, store })
    }

    /// The files of the checkout, in a folder that commands can write to. If they have put something else in its place, that goes.
    ///
    /// # Errors
    /// The disk.
    pub fn files(&self) -> io::Result<Folder> {
        self.commands
            .clear_folder(Path::new(FILES))
            .map_err(|error| named(&self.commands.join(Path::new(FILES)), error))
    }

    /// Where the repositories of submodules are.
    pub fn module(&self, number: usize) -> PathBuf {
        self.own.join(format!("module-{number}.git"))
    }

    /// Leaves something for a later phase. It is on the disk, or the earlier one of that name is.
    ///
    /// # Errors
    /// The disk.
    #[expect(clippy::disallowed_methods, reason = "the folder is Runtrail's own")]
    pub fn save(&self, name: &str, what: &impl Serialize) -> io::Result<()> {
        let (new, path) = (self.own.join(format!("{name}.new")), self.own.join(name));
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
        load(&self.own.join(name))
    }
}

#[expect(clippy::disallowed_methods, reason = "the folder is Runtrail's own")]
fn load<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let read = || Ok(serde_json::from_reader(BufReader::new(std::fs::File::open(path)?))?);
    read().map_err(|error| named(path, error))
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
