//! Runtrail's own repository of one attempt: bare, with the user's objects as alternates (gitrepository-layout(5),
//! `objects/info/alternates`) and without the user's configuration. Checkouts and commits are made here, so that no
//! filter, hook or transport of the user is found. New objects go to the user's repository as a pack at the very end.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::git::{Git, GitCommand, GitError, parts, run, text};
use super::git_objects::blob_name;
use super::user_repository::UserRepository;
use super::workspace_error::{WorkspaceError, with_path};
use crate::confined_fs::Folder;
use serde::{Deserialize, Serialize};

/// A larger file counts as changed if its modification time differs: it is not read.
const MAX_COMPARED_BYTES: u64 = 1 << 30;

/// The longest list of commits without parents in a shallow clone, which may have one for each tag.
const MAX_SHALLOW_BYTES: u64 = 64 << 20;

/// A repository of Runtrail's own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OwnRepository {
    git_dir: PathBuf,
    /// The analyzed commit.
    pub head: String,
}

impl OwnRepository {
    /// Creates a repository in this new folder for a commit whose objects are in `objects`. `shallow` is the repository
    /// whose list of commits without parents applies.
    ///
    /// # Errors
    /// [`WorkspaceError`].
    pub async fn create(
        git_dir: &Path,
        objects: &Path,
        shallow: Option<&Folder>,
        format: &str,
        head: &str,
    ) -> Result<Self, WorkspaceError> {
        init(Git::own(git_dir).command("init", ["--quiet", "--bare", "--template="]), git_dir, format).await?;
        borrow_objects(git_dir, objects, shallow)?;
        Ok(Self { git_dir: git_dir.to_owned(), head: head.to_owned() })
    }

    /// Git on this repository without a working tree.
    pub fn git(&self) -> Git {
        Git::own(&self.git_dir)
    }

    /// Git on this repository with this working tree.
    pub fn git_in(&self, files: &Folder) -> Git {
        Git::own_with_files(&self.git_dir, files)
    }

    /// The path of its index.
    pub fn index_path(&self) -> PathBuf {
        self.git_dir.join("index")
    }

    /// The entries of the commit below a folder: `git ls-tree -r -z`.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn list(&self, folder: &Path) -> Result<Vec<u8>, GitError> {
        let mut tree = OsString::from(format!("{}:", self.head));
        tree.push(folder);
        let args: [&OsStr; 4] = ["-r".as_ref(), "-z".as_ref(), "--full-tree".as_ref(), &tree];
        self.git().call("ls-tree", args).await
    }

    /// A `git cat-file --batch`, which reads names of objects.
    pub fn cat_file(&self) -> GitCommand {
        self.git().command("cat-file", ["--batch"])
    }

    /// The objects among these that do not exist.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn missing<'a>(&self, objects: impl Iterator<Item = &'a str>) -> Result<Vec<String>, GitError> {
        let names: String = objects.flat_map(|object| [object, "\n"]).collect();
        let args = ["--batch-check=%(objectname)", "--buffer"];
        let answer = text("cat-file", self.git().call_with("cat-file", args, names.as_bytes()).await?)?;
        Ok(answer.lines().filter_map(|line| line.strip_suffix(" missing")).map(str::to_owned).collect())
    }

    /// The number of tracked files in the user's working tree that differ from the commit, by the user's index and
    /// without the user's filters.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn count_changed(&self, repository: &UserRepository) -> Result<usize, GitError> {
        let git = self.git_in(&repository.top).with_index(&repository.git_dir.join(Path::new("index")));
        let args = ["--raw", "-z", "--no-renames", "--no-ext-diff", "--ignore-submodules=all", &self.head];
        let answer = git.call("diff-index", args).await?;
        let mut answer = parts(&answer);
        let mut changed = 0;
        while let (Some(facts), Some(path)) = (answer.next(), answer.next()) {
            // `:mode mode object object status`. A second object of zeros means that only the file's metadata differ.
            let facts = String::from_utf8_lossy(facts).into_owned();
            let facts: Vec<&str> = facts.split(' ').collect();
            let is_same = match facts.as_slice() {
                [before, after, object, unknown, _] if before[1..] == **after && unknown.bytes().all(|b| b == b'0') => {
                    let bytes = repository.top.read(Path::new(OsStr::from_bytes(path)), MAX_COMPARED_BYTES);
                    bytes.is_ok_and(|bytes| blob_name(&bytes, object.len()) == *object)
                }
                _ => false,
            };
            changed += usize::from(!is_same);
        }
        Ok(changed)
    }

    /// Stores contents as objects by a single git process; their names, in the same order.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn store_blobs<'a>(&self, contents: impl Iterator<Item = &'a [u8]>) -> Result<Vec<String>, GitError> {
        let mut stream = Vec::new();
        for (at, bytes) in contents.enumerate() {
            stream.extend_from_slice(format!("blob\nmark :{}\ndata {}\n", at + 1, bytes.len()).as_bytes());
            stream.extend_from_slice(bytes);
            stream.push(b'\n');
            // Prints the name of the object.
            stream.extend_from_slice(format!("get-mark :{}\n", at + 1).as_bytes());
        }
        stream.extend_from_slice(b"done\n");
        let names = self.git().call_with("fast-import", ["--quiet", "--done"], &stream).await?;
        Ok(text("fast-import", names)?.lines().map(str::to_owned).collect())
    }

    /// Makes a commit on top of the analyzed one in which these files (mode, path below the repository's top, text)
    /// have these texts, and adds it to the user's repository; its name. The texts are stored as they are, without
    /// git's conversions.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn commit(
        &self,
        repository: &UserRepository,
        files: &[(&str, PathBuf, &str)],
        message: &str,
    ) -> Result<String, GitError> {
        let objects = self.store_blobs(files.iter().map(|(_, _, text)| text.as_bytes())).await?;
        let git = self.git().with_index(&self.git_dir.join("commit-index"));
        git.call("read-tree", [&self.head]).await?;
        let entries =
            files.iter().zip(&objects).map(|((mode, path, _), object)| (*mode, object.as_str(), path.as_path()));
        git.call_with("update-index", ["-z", "--index-info"], &index_info(entries)).await?;
        let tree = git.line::<&str>("write-tree", []).await?;
        let commit = git.command("commit-tree", ["-p", self.head.as_str(), "-F", "-", tree.as_str()]);
        let commit = commit.envs(repository.committer().await);
        let commit = run("commit-tree", commit, Some(message.as_bytes())).await?.stdout;
        let commit = text("commit-tree", commit)?.trim_end().to_owned();

        // The new objects: blobs, the trees above them, the commit.
        let args = ["-r", "-t", "-z", "--raw", "--no-renames", self.head.as_str(), commit.as_str()];
        let changes = git.call("diff-tree", args).await?;
        let facts = parts(&changes).step_by(2).filter_map(|facts| std::str::from_utf8(facts).ok());
        let mut new: Vec<&str> = facts.filter_map(|facts| facts.split(' ').nth(3)).collect();
        new.extend([tree.as_str(), commit.as_str()]);
        new.sort_unstable();
        new.dedup();
        let names: String = new.iter().flat_map(|name| [*name, "\n"]).collect();
        let pack = git.call_with("pack-objects", ["--stdout", "-q"], names.as_bytes()).await?;
        repository.add_objects(&pack, new.len()).await?;
        Ok(commit)
    }
}

/// The input of `git update-index -z --index-info` for these entries: mode, object, path.
pub fn index_info<'a>(entries: impl Iterator<Item = (&'a str, &'a str, &'a Path)>) -> Vec<u8> {
    let mut info = Vec::new();
    for (mode, object, path) in entries {
        info.extend_from_slice(format!("{mode} {object}\t").as_bytes());
        info.extend_from_slice(path.as_os_str().as_bytes());
        info.push(0);
    }
    info
}

/// Creates a repository by this `git init` command.
///
/// # Errors
/// [`WorkspaceError`].
#[expect(clippy::disallowed_methods, reason = "the repository is Runtrail's own")]
pub async fn init(call: GitCommand, folder: &Path, format: &str) -> Result<(), WorkspaceError> {
    std::fs::create_dir_all(folder)?;
    let call = call.arg(format!("--object-format={format}"));
    let Err(error) = run("init", call, None).await else { return Ok(()) };
    // Git does not tell why it cannot write, so a write is attempted here.
    let probe = folder.join("probe");
    std::fs::write(&probe, [0; 4096]).map_err(|error| with_path(folder, error))?;
    std::fs::remove_file(&probe)?;
    Err(error.into())
}

/// Lets a repository use the objects of another one.
///
/// # Errors
/// I/O errors.
#[expect(clippy::disallowed_methods, reason = "the repository is Runtrail's own")]
pub fn borrow_objects(git_dir: &Path, objects: &Path, shallow: Option<&Folder>) -> io::Result<()> {
    let info = git_dir.join("objects/info");
    std::fs::create_dir_all(&info)?;
    std::fs::write(info.join("alternates"), quoted(objects.as_os_str().as_bytes()))?;
    match shallow.map(|repository| repository.read(Path::new("shallow"), MAX_SHALLOW_BYTES)) {
        Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Some(Ok(shallow)) => std::fs::write(git_dir.join("shallow"), shallow),
        _ => Ok(()),
    }
}

/// A path as git reads it in `alternates`: quoted and escaped if it has special bytes.
fn quoted(path: &[u8]) -> Vec<u8> {
    let is_special = |byte: &u8| byte.is_ascii_control() || matches!(byte, b'"' | b'\\' | b'#');
    let mut out = Vec::with_capacity(path.len() + 3);
    if path.iter().any(is_special) {
        out.push(b'"');
        for byte in path {
            match byte {
                b'"' | b'\\' => out.extend([b'\\', *byte]),
                byte if byte.is_ascii_control() => out.extend(format!("\\{byte:03o}").bytes()),
                byte => out.push(*byte),
            }
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(path);
    }
    out.push(b'\n');
    out
}
