//! Git, by its command line. Each call names the repository it works on, has a limit of time and output, and runs nothing that a
//! configuration or the environment names: no hooks, no filters, no transports, no file system monitor.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::command::{self, Exited, Limits, Output, Stopped};

/// How long one call may take. A checkout of a large repository takes the longest.
pub const TIME_LIMIT: Duration = Duration::from_secs(600);

/// How much one call may print, in bytes. The list of a million files has a tenth of that.
const OUTPUT_LIMIT: usize = 1 << 30;

/// What is set for every call, whatever the user's configuration says.
const SETTINGS: [&str; 14] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.autocrlf=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.pager=cat",
    "protocol.allow=never",
    "safe.bareRepository=explicit",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "i18n.commitEncoding=UTF-8",
    "advice.detachedHead=false",
];

/// Which variables of git a call inherits: who commits, and where a user's own settings are.
const INHERITED: [&str; 4] = ["GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG", "GIT_EXEC_PATH"];

/// Why git did not do it.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no such program.
    #[error("git is not installed, or not in the server's PATH: {0}")]
    Missing(std::io::Error),
    /// It did not end.
    #[error("git {0} took longer than {limit} and was ended", limit = humantime::format_duration(TIME_LIMIT))]
    TooLong(String),
    /// It printed far more than it should.
    #[error("git {0} printed more than {limit} MiB and was ended", limit = OUTPUT_LIMIT >> 20)]
    TooMuch(String),
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
    /// The branch cannot be made.
    #[error("the branch {name} cannot be made: {reason}")]
    Branch {
        /// Its name.
        name: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The repository cannot be written.
    #[error("{folder} cannot be written ({reason}), so no branch can be made; {remedy}")]
    ReadOnly {
        /// Where.
        folder: PathBuf,
        /// What the system says.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
}

/// The repository that calls work on.
#[derive(Clone, Debug)]
pub struct Git {
    folder: PathBuf,
    repository: Named,
    index: Option<PathBuf>,
}

/// How the repository of a call is named.
#[derive(Clone, Debug)]
enum Named {
    /// It is the one that the folder is in. Only to find it.
    Search,
    /// The user's own, with the user's configuration.
    Users(PathBuf),
    /// One that Runtrail has made, without any configuration but its own.
    Own(PathBuf, Option<PathBuf>),
}

impl Git {
    /// Finds the repository that a folder is in.
    pub fn search(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), repository: Named::Search, index: None }
    }

    /// The user's repository: calls that only read or write references and objects.
    pub fn users(git_dir: &Path) -> Self {
        Self { folder: git_dir.to_owned(), repository: Named::Users(git_dir.to_owned()), index: None }
    }

    /// A repository of Runtrail's own, without files.
    pub fn own(git_dir: &Path) -> Self {
        Self { folder: git_dir.to_owned(), repository: Named::Own(git_dir.to_owned(), None), index: None }
    }

    /// A repository of Runtrail's own whose files are in this folder.
    pub fn own_with_files(git_dir: &Path, files: &Path) -> Self {
        let repository = Named::Own(git_dir.to_owned(), Some(files.to_owned()));
        Self { folder: files.to_owned(), repository, index: None }
    }

    /// The same with another index.
    pub fn with_index(mut self, index: &Path) -> Self {
        self.index = Some(index.to_owned());
        self
    }

    /// A call that is not started yet.
    pub fn command<A: AsRef<OsStr>>(&self, call: &str, args: impl IntoIterator<Item = A>) -> Command {
        let mut git = Command::new("git");
        for setting in SETTINGS {
            git.args(["-c", setting]);
        }
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            let is_own = matches!(self.repository, Named::Own(..));
            let is_inherited =
                INHERITED.iter().any(|known| name.starts_with(known) && !(is_own && *known == "GIT_CONFIG"));
            if name.starts_with("GIT_") && !is_inherited {
                git.env_remove(&variable);
            }
        }
        match &self.repository {
            Named::Search => {}
            Named::Users(git_dir) => {
                git.arg("--git-dir").arg(git_dir);
            }
            Named::Own(git_dir, files) => {
                git.arg("--git-dir").arg(git_dir);
                if let Some(files) = files {
                    git.arg("--work-tree").arg(files);
                }
                git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
                git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_ATTR_NOSYSTEM", "1");
            }
        }
        if let Some(index) = &self.index {
            git.env("GIT_INDEX_FILE", index);
        }
        git.arg(call).args(args).current_dir(&self.folder);
        // Nobody is there to answer; nothing is fetched; nothing is written but what is asked for; messages are read here, in
        // English; paths are names and no patterns.
        git.env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .env("LC_ALL", "C");
        git.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        git
    }

    /// What a call prints.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn call<A: AsRef<OsStr>>(
        &self,
        call: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Vec<u8>, GitError> {
        run(call, self.command(call, args), None).await.map(|exited| exited.stdout)
    }

    /// What a call prints that reads this.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn call_with<A: AsRef<OsStr>>(
        &self,
        call: &str,
        args: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> Result<Vec<u8>, GitError> {
        run(call, self.command(call, args), Some(input)).await.map(|exited| exited.stdout)
    }

    /// One line that a call prints.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn line<A: AsRef<OsStr>>(
        &self,
        call: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<String, GitError> {
        Ok(text(call, self.call(call, args).await?)?.trim_end().to_owned())
    }

    /// A path that a call prints. It may hold line ends, and need not be UTF-8.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn path<A: AsRef<OsStr>>(
        &self,
        call: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<PathBuf, GitError> {
        let mut bytes = self.call(call, args).await?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        Ok(PathBuf::from(OsString::from_vec(bytes)))
    }
}

/// What a call printed, as text.
///
/// # Errors
/// It is not UTF-8.
pub fn text(call: &str, bytes: Vec<u8>) -> Result<String, GitError> {
    String::from_utf8(bytes).map_err(|_| GitError::Unreadable(call.to_owned()))
}

/// The parts of an answer that end with NUL.
pub fn parts(answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    answer.split(|byte| *byte == 0).filter(|part| !part.is_empty())
}

/// Runs a call to its end.
///
/// # Errors
/// [`GitError`].
pub async fn run(call: &str, git: Command, input: Option<&[u8]>) -> Result<Exited, GitError> {
    let failed = |message: String| GitError::Failed { call: call.to_owned(), message };
    let limits = Limits { time: TIME_LIMIT, output: Output::AtMost(OUTPUT_LIMIT) };
    let exited = match command::run(git, input, limits, false).await {
        Ok(exited) => exited,
        Err(Stopped::NotStarted(error)) => return Err(GitError::Missing(error)),
        Err(Stopped::TooLong(_)) => return Err(GitError::TooLong(call.to_owned())),
        Err(Stopped::TooMuch) => return Err(GitError::TooMuch(call.to_owned())),
        Err(Stopped::Lost(error)) => return Err(failed(error.to_string())),
    };
    if exited.status.success() {
        return Ok(exited);
    }
    let said = String::from_utf8_lossy(&exited.stderr);
    let said = said.trim();
    Err(failed(if said.is_empty() { exited.status.to_string() } else { said.to_owned() }))
}
