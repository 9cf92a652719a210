//! The user's repository. Git commands only read and write its references and objects, and execute nothing; all other
//! work happens in an [`OwnRepository`](super::own_repository::OwnRepository).

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use nix::unistd::AccessFlags;
use serde::{Deserialize, Serialize};

use super::allowed::{AllowedFolders, OutsidePart};
use super::git::{Git, GitError, text};
use crate::confined_fs::{FileIdentity, Folder};

/// The committer if git is not configured with one.
const COMMITTER: (&str, &str) = ("Runtrail", "runtrail@localhost");

/// More new objects than this are stored as one pack, like with `fastimport.unpackLimit`.
const UNPACK_LIMIT: usize = 100;

/// A repository with a current commit. Its folders are held open, so that a rename cannot redirect git commands.
#[derive(Clone, Debug)]
pub struct UserRepository {
    /// The top of its working tree.
    pub top: Folder,
    /// The project's folder below the top; empty if it is the top.
    pub prefix: PathBuf,
    /// What belongs to this working tree alone: index and HEAD.
    pub git_dir: Folder,
    /// What all working trees share: objects, branches.
    pub common_dir: Folder,
    objects: Folder,
    /// `sha1` or `sha256`.
    pub format: String,
    /// The commit that is checked out, which is analyzed.
    pub head: String,
    /// The current branch; `None` if HEAD is detached.
    pub branch: Option<String>,
}

/// What later phases reopen the repository by.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedRepository {
    top: SavedFolder,
    #[serde(with = "path_bytes")]
    prefix: PathBuf,
    git_dir: SavedFolder,
    common_dir: SavedFolder,
    objects: SavedFolder,
    format: String,
    head: String,
    branch: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedFolder {
    #[serde(with = "path_bytes")]
    path: PathBuf,
    identity: FileIdentity,
}

impl SavedFolder {
    fn of(folder: &Folder) -> io::Result<Self> {
        Ok(Self { path: folder.path().to_owned(), identity: folder.identity()? })
    }

    fn open(&self, allowed: &AllowedFolders) -> Result<Folder, GitError> {
        let exchanged = || GitError::Exchanged(self.path.clone());
        let folder = allowed.open(&self.path).map_err(|_| exchanged())?.map_err(|_| exchanged())?;
        if folder.identity().is_ok_and(|identity| identity == self.identity) { Ok(folder) } else { Err(exchanged()) }
    }
}

/// Paths in JSON as bytes, since they need not be UTF-8.
mod path_bytes {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().as_bytes().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        Vec::<u8>::deserialize(from).map(|bytes| PathBuf::from(OsString::from_vec(bytes)))
    }
}

impl UserRepository {
    /// Opens the repository of this folder. All of it must be inside the allowed folders.
    ///
    /// # Errors
    /// [`GitError`], with a remedy.
    pub async fn open(folder: &Folder, allowed: &AllowedFolders) -> Result<Self, GitError> {
        let search = Git::search(folder, allowed.roots());
        let shown = || folder.path().to_owned();
        let facts = match search.call("rev-parse", ["--is-bare-repository", "--is-inside-work-tree"]).await {
            Err(GitError::Failed { message, .. }) if message.contains("not a git repository") => {
                return Err(repository_above(folder.path(), allowed));
            }
            Err(GitError::Failed { message, .. }) if message.contains("cannot use bare repository") => {
                return Err(GitError::Bare(shown()));
            }
            facts => text("rev-parse", facts?)?,
        };
        if facts.lines().collect::<Vec<_>>() != ["false", "true"] {
            return Err(GitError::Bare(shown()));
        }
        let path = |what: &'static str| search.path("rev-parse", ["--path-format=absolute", what]);
        let prefix = search.path("rev-parse", ["--show-prefix"]);
        let (top, prefix, git_dir, common_dir) =
            tokio::try_join!(path("--show-toplevel"), prefix, path("--git-dir"), path("--git-common-dir"))?;
        let outside = |what: &'static str, path: PathBuf| {
            let remedy = match what {
                "working tree" | "git directory" | "common directory" => format!(
                    "start the server with `--projects {}`, or give a clone that is inside as a whole",
                    path.parent().unwrap_or(&path).display()
                ),
                _ => format!(
                    "start the server with `--projects {}`, or give a clone that has all of its objects itself: `git clone --no-local`",
                    path.display()
                ),
            };
            GitError::Outside { folder: shown(), what, path, remedy }
        };
        let opened = |what: &'static str, path: &Path| match allowed.open(path) {
            Ok(Ok(folder)) => Ok(folder),
            Ok(Err(_)) => Err(GitError::Exchanged(path.to_owned())),
            Err(path) => Err(outside(what, path)),
        };
        let (top, git_dir) = (opened("working tree", &top)?, opened("git directory", &git_dir)?);
        let common_dir = opened("common directory", &common_dir)?;
        let objects = opened("objects", &common_dir.join(Path::new("objects")))?;
        let checked = allowed.check_parts(git_dir.path()).and_then(|()| allowed.check_parts(common_dir.path()));
        let checked = checked.and_then(|()| allowed.check_objects(objects.path()));
        checked.map_err(|OutsidePart { what, path }| outside(what, path))?;
        // The folder that git was resolved in is the one that the paths lead to.
        let resolved = top.folder(&prefix).and_then(|below| Ok(below.identity()? == folder.identity()?));
        if !resolved.is_ok_and(|is_same| is_same) {
            return Err(GitError::Exchanged(shown()));
        }
        let (users, head_of) = (Git::users(&common_dir), Git::users(&git_dir));
        let format = users.line("rev-parse", ["--show-object-format"]).await?;
        let head = match head_of.line("rev-parse", ["--verify", "--quiet", "HEAD^{commit}"]).await {
            Err(GitError::Failed { .. }) => return Err(GitError::NoCommits(shown())),
            head => head?,
        };
        let branch = match head_of.line("symbolic-ref", ["--quiet", "--short", "HEAD"]).await {
            Err(GitError::Failed { .. }) => None,
            branch => Some(branch?),
        };
        Ok(Self { top, prefix, git_dir, common_dir, objects, format, head, branch })
    }

    /// # Errors
    /// I/O errors.
    pub fn saved(&self) -> io::Result<SavedRepository> {
        Ok(SavedRepository {
            top: SavedFolder::of(&self.top)?,
            prefix: self.prefix.clone(),
            git_dir: SavedFolder::of(&self.git_dir)?,
            common_dir: SavedFolder::of(&self.common_dir)?,
            objects: SavedFolder::of(&self.objects)?,
            format: self.format.clone(),
            head: self.head.clone(),
            branch: self.branch.clone(),
        })
    }

    /// Opens the repository of an earlier phase.
    ///
    /// # Errors
    /// [`GitError::Exchanged`]: its folders were replaced.
    pub fn reopen(saved: SavedRepository, allowed: &AllowedFolders) -> Result<Self, GitError> {
        Ok(Self {
            top: saved.top.open(allowed)?,
            git_dir: saved.git_dir.open(allowed)?,
            common_dir: saved.common_dir.open(allowed)?,
            objects: saved.objects.open(allowed)?,
            prefix: saved.prefix,
            format: saved.format,
            head: saved.head,
            branch: saved.branch,
        })
    }

    /// The path of the project's folder.
    pub fn folder(&self) -> PathBuf {
        self.top.join(&self.prefix)
    }

    /// The path of the objects.
    pub fn objects(&self) -> &Path {
        self.objects.path()
    }

    /// All references with their objects, in the format of `packed-refs`.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn references(&self) -> Result<Vec<u8>, GitError> {
        Git::users(&self.common_dir).call("for-each-ref", ["--format=%(objectname) %(refname)"]).await
    }

    /// Whether it is a partial clone, which lacks objects.
    pub async fn is_partial_clone(&self) -> bool {
        let partial = r"^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$";
        Git::users(&self.common_dir).call("config", ["--get-regexp", partial]).await.is_ok()
    }

    /// The variables of `git commit-tree` for author and committer.
    pub async fn committer(&self) -> Vec<(&'static str, String)> {
        let users = Git::users(&self.common_dir);
        let is_named =
            users.call("config", ["user.email"]).await.is_ok() || std::env::var_os("GIT_COMMITTER_EMAIL").is_some();
        let mut variables = Vec::new();
        for (ident, names) in [
            ("GIT_AUTHOR_IDENT", ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"]),
            ("GIT_COMMITTER_IDENT", ["GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"]),
        ] {
            // `name <email> seconds zone`
            let ident = if is_named { users.line("var", [ident]).await.ok() } else { None };
            let named = ident.as_deref().and_then(|ident| {
                let (name, rest) = ident.split_once(" <")?;
                Some((name.to_owned(), rest.split_once('>')?.0.to_owned()))
            });
            let (name, email) = named.unwrap_or_else(|| (COMMITTER.0.to_owned(), COMMITTER.1.to_owned()));
            variables.extend(names.into_iter().zip([name, email]));
        }
        variables
    }

    /// Adds new objects from a pack.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn add_objects(&self, pack: &[u8], objects: usize) -> Result<(), GitError> {
        let users = Git::users(&self.common_dir);
        match objects {
            ..=UNPACK_LIMIT => users.call_with("unpack-objects", ["-q"], pack).await.map(drop),
            _ => users.call_with("index-pack", ["--stdin", "--fix-thin"], pack).await.map(drop),
        }
    }

    /// Creates a branch at a commit, atomically.
    ///
    /// # Errors
    /// [`GitError`]: a branch of that name, of a prefix of it or below it exists.
    pub async fn create_branch(&self, name: &str, commit: &str) -> Result<(), GitError> {
        const NONE: &str = "";
        let created =
            Git::users(&self.common_dir).call("update-ref", [&format!("refs/heads/{name}"), commit, NONE]).await;
        created.map(drop).map_err(|error| branch_error(name, error))
    }

    /// Checks that [`Self::add_objects`] and [`Self::create_branch`] would work now, without leaving a change.
    ///
    /// # Errors
    /// [`GitError`], with a remedy.
    pub async fn check_branch(&self, name: &str) -> Result<(), GitError> {
        self.check_writable(name)?;
        // Takes the locks of the branch and releases them.
        let (reference, head) = (format!("refs/heads/{name}"), &self.head);
        let steps = format!("start\ncreate {reference} {head}\nprepare\nabort\n");
        let tried = Git::users(&self.common_dir).call_with("update-ref", ["--stdin"], steps.as_bytes()).await;
        // Git leaves the lock's folder, which is removed here if it is empty.
        if let Some((folder, _)) = reference.rsplit_once('/') {
            let _ = self.common_dir.remove_empty(Path::new(folder));
        }
        tried.map(drop).map_err(|error| branch_error(name, error))
    }

    /// Checks that this process may write objects, references and reflogs.
    fn check_writable(&self, name: &str) -> Result<(), GitError> {
        let objects = self.objects();
        let mut folders = vec![objects.to_owned(), objects.join("pack")];
        // A single folder of another user, created by a command run as root, is enough to fail.
        folders.extend((0..=255).map(|byte| objects.join(format!("{byte:02x}"))));
        for root in ["", "refs/heads", "logs/refs/heads"] {
            let mut below = self.common_dir.join(Path::new(root));
            folders.push(below.clone());
            for part in name.split('/').take(name.matches('/').count()) {
                below.push(part);
                folders.push(below.clone());
            }
        }
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            nix::unistd::access(folder, AccessFlags::W_OK | AccessFlags::X_OK)
                .map_err(|error| read_only(folder, &error.into()))?;
        }
        // A full disk, a quota or an unusual file system only shows when writing.
        let probe = PathBuf::from(format!("tmp_obj_runtrail_{}", std::process::id()));
        self.objects.try_to_write(&probe, 4096).map_err(|error| read_only(objects, &error))
    }
}

/// The error of a folder without a repository below the allowed roots: there is one above them, or none at all.
fn repository_above(folder: &Path, allowed: &AllowedFolders) -> GitError {
    let roots = allowed.roots().iter().filter(|root| folder.starts_with(root));
    let above = roots.min_by_key(|root| root.as_os_str().len()).into_iter().flat_map(|root| root.ancestors().skip(1));
    match above.into_iter().find(|above| above.join(".git").symlink_metadata().is_ok()) {
        None => GitError::NoRepository(folder.to_owned()),
        Some(top) => GitError::Outside {
            folder: folder.to_owned(),
            what: "working tree",
            path: top.to_owned(),
            remedy: format!("start the server with `--projects {}`", top.display()),
        },
    }
}

fn read_only(folder: &Path, error: &io::Error) -> GitError {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => "give the server's user write access to the repository",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on its disk",
        ErrorKind::ReadOnlyFilesystem => "give a clone on a disk that can be written",
        _ => "see to it, then start the run again",
    };
    GitError::ReadOnly { folder: folder.to_owned(), reason: error.to_string(), remedy }
}

/// Git's error for a branch that it cannot create, with a remedy.
fn branch_error(name: &str, error: GitError) -> GitError {
    let GitError::Failed { message, .. } = error else { return error };
    let last_line = message.lines().last().unwrap_or_default().trim_start_matches("fatal: ").to_owned();
    let branch = |reference: &str| reference.trim_start_matches("refs/heads/").to_owned();
    let quoted: Vec<&str> = message.split('\'').skip(1).step_by(2).collect();
    let reason = if message.contains("exists; cannot create") {
        // 'refs/heads/runtrail' exists; cannot create 'refs/heads/runtrail/…'
        let blocks = quoted.iter().rev().nth(1).map_or_else(String::new, |reference| branch(reference));
        if blocks.starts_with(&format!("{name}/")) {
            format!("there is a branch {blocks} below that name; rename it: `git branch -m {blocks} NEW-NAME`")
        } else {
            format!(
                "there is a branch {blocks}, and git keeps no branches below another one; rename it: `git branch -m {blocks} NEW-NAME`"
            )
        }
    } else if message.contains("reference already exists") {
        format!("there is one of that name; delete or rename it: `git branch -m {name} NEW-NAME`")
    } else if message.contains(".lock': File exists") {
        let lock = quoted.iter().find(|path| path.ends_with(".lock")).copied().unwrap_or_default();
        format!(
            "{lock} is there: another git command is at work in the repository; wait for it, or delete the file if none is"
        )
    } else if message.contains("non-directory in the way") {
        format!("{last_line}; see what that file is, and move it away")
    } else if message.contains("Permission denied") {
        format!("{last_line}; give the server's user write access to the repository")
    } else {
        last_line
    };
    GitError::Branch { name: name.to_owned(), reason }
}
