//! Git, by its command line: what the built-in pipelines need of a repository, each call with a limit of time.
//!
//! Nothing here touches the user's working tree, index or current branch. Hooks do not run.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::workspace::WorkspaceError;

/// How long one call may take. A checkout of a large repository takes the longest.
const LIMIT: Duration = Duration::from_secs(600);

/// What is set for every call, whatever the user's configuration says: nothing of the user's runs, nothing is tidied up, and files
/// have the line ends that their commit has.
const SETTINGS: [&str; 7] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.autocrlf=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "advice.detachedHead=false",
];

/// Variables that would make git work on another repository than the one it is called in.
const FOREIGN: [&str; 6] =
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"];

/// Who commits where nobody has told git a name.
const COMMITTER: (&str, &str) = ("Runtrail", "runtrail@localhost");

/// Why git did not do it.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no such program.
    #[error("git is not installed, or not in the server's PATH: {0}")]
    Missing(std::io::Error),
    /// It did not end.
    #[error("git {0} took longer than {limit} and was ended", limit = humantime::format_duration(LIMIT))]
    TooLong(String),
    /// It said no.
    #[error("git {call} failed: {message}")]
    Failed {
        /// The subcommand.
        call: String,
        /// What it printed.
        message: String,
    },
    /// The folder is in no repository.
    #[error("{0} is not in a git repository; run `git init` there and commit what is to be worked on")]
    NoRepository(PathBuf),
    /// The repository has no working tree.
    #[error("{0} is a bare repository, which has no files to work on; give a clone with a working tree")]
    Bare(PathBuf),
    /// There is nothing that a branch could begin at.
    #[error("{0} has no commits yet; commit what is to be worked on")]
    NoCommits(PathBuf),
    /// Its answer cannot be understood.
    #[error("git {0} answered something that cannot be read")]
    Unreadable(String),
}

/// A folder of a repository with a commit to begin at.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Repository {
    /// The top of its working tree.
    pub top: PathBuf,
    /// The folder that was asked for, below the top; empty if it is the top.
    pub prefix: PathBuf,
    /// The commit that is worked on: the one that is checked out.
    pub head: String,
    /// The current branch; `None` if the head is detached.
    pub branch: Option<String>,
}

impl Repository {
    /// The repository that this folder is in.
    ///
    /// # Errors
    /// [`GitError`], each with what to do.
    pub async fn open(folder: &Path) -> Result<Self, GitError> {
        let asked = ["--is-bare-repository", "--is-inside-work-tree", "--show-prefix"];
        let facts = match git(folder, "rev-parse", asked).await {
            Err(GitError::Failed { message, .. }) if message.contains("not a git repository") => {
                return Err(GitError::NoRepository(folder.to_owned()));
            }
            facts => text("rev-parse", facts?)?,
        };
        let mut facts = facts.lines();
        let (bare, inside) = (facts.next() == Some("true"), facts.next() == Some("true"));
        if bare || !inside {
            return Err(GitError::Bare(folder.to_owned()));
        }
        let prefix = PathBuf::from(facts.next().unwrap_or_default());
        let top = text("rev-parse", git(folder, "rev-parse", ["--show-toplevel"]).await?)?;
        let head = match git(folder, "rev-parse", ["--verify", "--quiet", "HEAD^{commit}"]).await {
            Err(GitError::Failed { .. }) => return Err(GitError::NoCommits(folder.to_owned())),
            head => text("rev-parse", head?)?,
        };
        let branch = match git(folder, "symbolic-ref", ["--quiet", "--short", "HEAD"]).await {
            Err(GitError::Failed { .. }) => None,
            branch => Some(text("symbolic-ref", branch?)?.trim_end().to_owned()),
        };
        Ok(Self { top: PathBuf::from(top.trim_end_matches('\n')), prefix, head: head.trim_end().to_owned(), branch })
    }

    /// How many tracked files differ from the commit.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn changed(&self) -> Result<usize, GitError> {
        let status = git(&self.top, "status", ["--porcelain=v1", "-z", "--untracked-files=no", "--no-renames"]).await?;
        Ok(status.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).count())
    }

    /// The folder that was asked for.
    pub fn folder(&self) -> PathBuf {
        self.top.join(&self.prefix)
    }

    /// What the commit has below the folder that was asked for: `git ls-tree -r -z`.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn list(&self) -> Result<Vec<u8>, GitError> {
        let mut tree = OsString::from(format!("{}:", self.head));
        tree.push(&self.prefix);
        let args: [&OsStr; 4] = ["-r".as_ref(), "-z".as_ref(), "--full-tree".as_ref(), &tree];
        git(&self.top, "ls-tree", args).await
    }

    /// A `git cat-file --batch` that waits for names of objects.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn cat_file(&self) -> io::Result<std::process::Child> {
        let mut git = command(&self.top, "cat-file", ["--batch"]);
        let git = git.as_std_mut().stdin(Stdio::piped()).stdout(Stdio::piped());
        git.spawn()
    }

    /// Makes a linked worktree at the commit, on no branch, with or without its files. The last part of the folder's path must be
    /// unique: git names the worktree after it.
    ///
    /// # Errors
    /// [`GitError`]: the folder is there already, the disk is full.
    pub async fn add_worktree(&self, folder: &Path, files: bool) -> Result<(), GitError> {
        let files = if files { "--checkout" } else { "--no-checkout" };
        let args: [&OsStr; 5] =
            ["add".as_ref(), "--detach".as_ref(), files.as_ref(), folder.as_ref(), self.head.as_ref()];
        git(&self.top, "worktree", args).await.map(drop)
    }

    /// Takes a linked worktree away, whatever is in it. That it is not there is as good.
    ///
    /// # Errors
    /// The disk, or [`GitError`]. It may be called again.
    pub async fn remove_worktree(&self, folder: &Path) -> Result<(), WorkspaceError> {
        // The files first: git refuses a worktree that is half made, and takes one away that is gone. `git worktree prune` would
        // take the user's own ones away whose disk is not mounted.
        match tokio::fs::remove_dir_all(folder).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let args: [&OsStr; 4] = ["remove".as_ref(), "--force".as_ref(), "--force".as_ref(), folder.as_ref()];
        match git(&self.top, "worktree", args).await {
            // The user may have taken the repository away meanwhile, and git's note of the worktree with it.
            Err(GitError::Failed { message, .. })
                if message.contains("is not a working tree") || message.contains("not a git repository") =>
            {
                Ok(())
            }
            removed => Ok(removed.map(drop)?),
        }
    }

    /// Makes a commit on top of the one that is worked on, in which these files (mode, path below the folder that was asked for,
    /// text) are so; its name. The texts are what git keeps, whatever it would make of files with such texts.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn commit(
        &self,
        worktree: &Path,
        files: &[(&str, &str, &str)],
        message: &str,
    ) -> Result<String, GitError> {
        let objects = self.keep(worktree, files.iter().map(|(_, _, text)| text.as_bytes())).await?;
        // The worktree's own index, not the user's.
        git(worktree, "read-tree", [&self.head]).await?;
        let mut changes = Vec::new();
        for ((mode, path, _), object) in files.iter().zip(objects) {
            changes.extend_from_slice(format!("{mode} {object}\t").as_bytes());
            changes.extend_from_slice(self.prefix.join(path).as_os_str().as_encoded_bytes());
            changes.push(0);
        }
        run("update-index", command(worktree, "update-index", ["-z", "--index-info"]), Some(&changes)).await?;
        let tree = text("write-tree", git::<&str>(worktree, "write-tree", []).await?)?;
        let mut commit = command(worktree, "commit-tree", ["-p", self.head.as_str(), "-F", "-", tree.trim_end()]);
        if git(worktree, "var", ["GIT_COMMITTER_IDENT"]).await.is_err()
            || git(worktree, "config", ["user.email"]).await.is_err()
        {
            let (name, email) = COMMITTER;
            for (variable, value) in [("NAME", name), ("EMAIL", email)] {
                commit.env(format!("GIT_AUTHOR_{variable}"), value).env(format!("GIT_COMMITTER_{variable}"), value);
            }
        }
        let commit = run("commit-tree", commit, Some(message.as_bytes())).await?;
        Ok(text("commit-tree", commit)?.trim_end().to_owned())
    }

    /// Puts contents among git's objects; their names, in order. By one process, however many there are.
    async fn keep<'a>(
        &self,
        worktree: &Path,
        contents: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Vec<String>, GitError> {
        let mut stream = Vec::new();
        for (at, bytes) in contents.enumerate() {
            stream.extend_from_slice(format!("blob\nmark :{}\ndata {}\n", at + 1, bytes.len()).as_bytes());
            stream.extend_from_slice(bytes);
            stream.push(b'\n');
            // Answered by the name of the object.
            stream.extend_from_slice(format!("get-mark :{}\n", at + 1).as_bytes());
        }
        stream.extend_from_slice(b"done\n");
        let names = run("fast-import", command(worktree, "fast-import", ["--quiet", "--done"]), Some(&stream)).await?;
        Ok(text("fast-import", names)?.lines().map(str::to_owned).collect())
    }

    /// Makes the files of a linked worktree again what its commit has, where somebody has changed them; how many those were.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn restore(&self, worktree: &Path) -> Result<usize, GitError> {
        let changed = git(worktree, "diff", ["--name-only", "-z", "HEAD"]).await?;
        let changed = changed.iter().filter(|byte| **byte == 0).count();
        if changed > 0 {
            git(worktree, "reset", ["--quiet", "--hard", "HEAD"]).await?;
        }
        Ok(changed)
    }

    /// Makes a branch at a commit, in one step: it is there with all of its commit, or it is not.
    ///
    /// # Errors
    /// [`GitError`]: a branch of that name is there, or one whose name is a part of it.
    pub async fn add_branch(&self, name: &str, commit: &str) -> Result<(), GitError> {
        const NONE: &str = "";
        git(&self.top, "update-ref", [&format!("refs/heads/{name}"), commit, NONE]).await.map(drop)
    }
}

fn text(call: &str, bytes: Vec<u8>) -> Result<String, GitError> {
    String::from_utf8(bytes).map_err(|_| GitError::Unreadable(call.to_owned()))
}

/// What a call prints.
async fn git<A: AsRef<OsStr>>(
    folder: &Path,
    call: &str,
    args: impl IntoIterator<Item = A>,
) -> Result<Vec<u8>, GitError> {
    run(call, command(folder, call, args), None).await
}

fn command<A: AsRef<OsStr>>(folder: &Path, call: &str, args: impl IntoIterator<Item = A>) -> Command {
    let mut git = Command::new("git");
    for setting in SETTINGS {
        git.args(["-c", setting]);
    }
    for variable in FOREIGN {
        git.env_remove(variable);
    }
    git.arg(call).args(args).current_dir(folder);
    // Nobody is there to answer; nothing is written but what is asked for; messages are read here, in English.
    git.env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_LFS_SKIP_SMUDGE", "1")
        .env("LC_ALL", "C");
    git
}

async fn run(call: &str, mut git: Command, input: Option<&[u8]>) -> Result<Vec<u8>, GitError> {
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    git.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let failed = |message: String| GitError::Failed { call: call.to_owned(), message };
    let mut child = git.spawn().map_err(GitError::Missing)?;
    let stdin = child.stdin.take();
    let talk = async {
        let say = async {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // A git that does not listen says why when it ends.
                let _ = stdin.write_all(input).await;
            }
        };
        tokio::join!(say, child.wait_with_output()).1
    };
    let done = tokio::time::timeout(LIMIT, talk).await.map_err(|_| GitError::TooLong(call.to_owned()))?;
    let done = done.map_err(|error| failed(error.to_string()))?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let said = said.trim();
    Err(failed(if said.is_empty() { done.status.to_string() } else { said.to_owned() }))
}
