//! The folders of one attempt of a built-in pipeline. The workspace, where commands may write anything, has the
//! checkout. Runtrail's own repository and the files that phases leave to each other are in a folder beside it (see
//! [`AttemptInfo`]), so that only checked-out files are ever read from where commands write.

use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::allowed::AllowedFolders;
use super::own_repository::OwnRepository;
use super::user_repository::{SavedRepository, UserRepository};
use super::workspace_error::{WorkspaceError, with_path};
use crate::confined_fs::Folder;
use crate::model::ApprovalDecision;
use crate::model::AttemptInfo;

/// The file with what later phases open the repositories by.
const REPOSITORY: &str = "repository.json";

/// The folder of Runtrail's own repository.
const STORE: &str = "store.git";

/// The folder of the checkout. Its name is in logs, and few programs use it.
const CHECKOUT: &str = "checkout";

/// The folders of one attempt.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Where commands may write anything.
    commands: Folder,
    /// Where phases leave files to each other. Commands do not learn its path.
    own: PathBuf,
    allowed: AllowedFolders,
    answer: Option<ApprovalDecision>,
}

/// The two repositories that an attempt works with.
#[derive(Debug)]
pub struct Repositories {
    pub users: UserRepository,
    /// Runtrail's own, at the same commit.
    pub own: OwnRepository,
}

/// What later phases open them by.
#[derive(serde::Serialize, serde::Deserialize)]
struct SavedRepositories {
    repository: SavedRepository,
    store: OwnRepository,
}

impl Workspace {
    /// Opens the folders of the attempt with this workspace.
    ///
    /// # Errors
    /// I/O errors, or the server has not created the attempt.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let none = || io::Error::new(io::ErrorKind::NotFound, "this is no workspace of a run");
        let own = AttemptInfo::folder(folder).ok_or_else(none)?;
        let (root, name) = folder.parent().zip(folder.file_name()).ok_or_else(none)?;
        let commands = Folder::open(root).and_then(|root| root.folder(Path::new(name)));
        let commands = commands.map_err(|error| with_path(folder, error))?;
        let AttemptInfo { projects, answer } = load(&own.join(AttemptInfo::FILE))?;
        Ok(Self { commands, own, allowed: AllowedFolders::new(projects), answer })
    }

    /// The folders that runs may work in.
    pub fn allowed(&self) -> &AllowedFolders {
        &self.allowed
    }

    /// The decision of the approver, if there was an approval.
    pub fn answer(&self) -> Option<&ApprovalDecision> {
        self.answer.as_ref()
    }

    /// Creates Runtrail's own repository for the commit.
    ///
    /// # Errors
    /// [`WorkspaceError`].
    pub async fn create_repositories(&self, repository: UserRepository) -> Result<Repositories, WorkspaceError> {
        let (objects, format) = (repository.objects(), repository.format.as_str());
        let shallow = Some(&repository.common_dir);
        let store = OwnRepository::create(&self.own.join(STORE), objects, shallow, format, &repository.head).await?;
        self.save(REPOSITORY, &SavedRepositories { repository: repository.saved()?, store: store.clone() })?;
        Ok(Repositories { users: repository, own: store })
    }

    /// Opens the repositories of [`Self::create_repositories`].
    ///
    /// # Errors
    /// I/O errors, or the user's repository was replaced since.
    pub fn repositories(&self) -> Result<Repositories, WorkspaceError> {
        let SavedRepositories { repository, store } = self.load(REPOSITORY)?;
        Ok(Repositories { users: UserRepository::reopen(repository, &self.allowed)?, own: store })
    }

    /// The top of the checkout. Commands can write to it; if they replaced it by something else, a new folder is
    /// created.
    ///
    /// # Errors
    /// I/O errors.
    pub fn checkout(&self) -> io::Result<Folder> {
        self.commands
            .clear_folder(Path::new(CHECKOUT))
            .map_err(|error| with_path(&self.commands.join(Path::new(CHECKOUT)), error))
    }

    /// The folder of Runtrail's repository for a submodule.
    pub fn submodule_dir(&self, number: usize) -> PathBuf {
        self.own.join(format!("module-{number}.git"))
    }

    /// Saves a value for a later phase, atomically: a crash leaves the previous value.
    ///
    /// # Errors
    /// I/O errors.
    #[expect(clippy::disallowed_methods, reason = "the folder is Runtrail's own")]
    pub fn save(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let (new, path) = (self.own.join(format!("{name}.new")), self.own.join(name));
        let write = || {
            let mut out = BufWriter::new(std::fs::File::create(&new)?);
            serde_json::to_writer(&mut out, value)?;
            out.flush()?;
            std::fs::rename(&new, &path)
        };
        write().map_err(|error| with_path(&path, error))
    }

    /// A value that an earlier phase saved.
    ///
    /// # Errors
    /// I/O errors, or there is no such value.
    pub fn load<T: DeserializeOwned>(&self, name: &str) -> io::Result<T> {
        load(&self.own.join(name))
    }
}

#[expect(clippy::disallowed_methods, reason = "the folder is Runtrail's own")]
fn load<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let read = || Ok(serde_json::from_reader(BufReader::new(std::fs::File::open(path)?))?);
    read().map_err(|error| with_path(path, error))
}
