//! Runs the git command line. Not a library: libgit2 supports neither working-tree encodings nor partial clones.
//!
//! Every command goes through a [`Git`], which names its repository. It has limits of time and output, and executes
//! nothing that the configuration or the environment names: no hooks, filters, transports or file system monitors.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use tokio::process::Command;

use crate::confined_fs::Folder;

use super::command::{self, CommandError, CommandExit, CommandLimits, OutputBound};

/// The time limit of one command. A checkout of a large repository takes the longest.
pub const TIME_LIMIT: Duration = Duration::from_secs(600);

/// The most output of one command. A list of a million files takes a tenth of that.
const MAX_OUTPUT_BYTES: usize = 1 << 30;

/// Settings that override the user's configuration in every command.
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

/// Prefixes of the variables of git that commands inherit: the committer and the location of the user's settings.
const INHERITED: [&str; 4] = ["GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG", "GIT_EXEC_PATH"];

/// Why a git command failed. The texts are shown to users.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("git is not installed, or not in the server's PATH: {0}")]
    Missing(std::io::Error),
    #[error("git {0} took longer than {limit} and was ended", limit = humantime::format_duration(TIME_LIMIT))]
    TimedOut(String),
    #[error("git {0} printed more than {limit} MiB and was ended", limit = MAX_OUTPUT_BYTES >> 20)]
    TooMuchOutput(String),
    #[error("git {call} failed: {message}")]
    Failed { call: String, message: String },
    #[error("{0} is not in a git repository; run `git init` there and commit what is to be worked on")]
    NoRepository(PathBuf),
    #[error("{0} is a bare repository, which has no files to work on; give a clone with a working tree")]
    Bare(PathBuf),
    #[error("{0} has no commits yet; commit what is to be worked on")]
    NoCommits(PathBuf),
    /// A part of the repository is outside the allowed folders.
    #[error("the repository of {} has its {what} at {}, which is outside the folders that runs may work in; {remedy}", folder.display(), path.display())]
    Outside {
        /// The project.
        folder: PathBuf,
        what: &'static str,
        path: PathBuf,
        remedy: String,
    },
    /// A folder of the repository was replaced during the run.
    #[error("{0} was moved or exchanged while the run worked on it; start the run again")]
    Exchanged(PathBuf),
    /// The output cannot be parsed.
    #[error("git {0} answered something that cannot be read")]
    Unreadable(String),
    #[error("the branch {name} cannot be made: {reason}")]
    Branch {
        name: String,
        /// Includes the remedy.
        reason: String,
    },
    #[error("{folder} cannot be written ({reason}), so no branch can be made; {remedy}")]
    ReadOnly { folder: PathBuf, reason: String, remedy: &'static str },
}

/// A repository to run git commands on.
#[derive(Clone, Debug)]
pub struct Git {
    folder: WorkingDir,
    repository: RepositoryArgs,
    index: Option<PathBuf>,
}

/// The working directory of a command.
#[derive(Clone, Debug)]
enum WorkingDir {
    /// A folder of Runtrail's own, by its path.
    Own(PathBuf),
    /// A folder that is held open, wherever it is moved to.
    Held(Folder),
}

/// How a command finds its repository.
#[derive(Clone, Debug)]
enum RepositoryArgs {
    /// Git searches upwards from the working directory to these ceilings. Only to find the repository.
    Search(OsString),
    /// The user's, which is the working directory, with the user's configuration.
    Users,
    /// One of Runtrail's own, without any other configuration.
    Own(PathBuf, WorkTree),
}

/// The working tree of a repository of Runtrail's own.
#[derive(Clone, Debug)]
enum WorkTree {
    None,
    In(PathBuf),
    /// The working directory of the command.
    WorkingDir,
}

/// A git command that is not started yet.
#[derive(Debug)]
pub struct GitCommand {
    command: Command,
    /// Held open until the command is started.
    dir: WorkingDir,
}

impl GitCommand {
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn envs<'a>(mut self, variables: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        self.command.envs(variables);
        self
    }

    /// Starts the command with pipes for its input and outputs.
    ///
    /// # Errors
    /// I/O errors.
    pub fn start(mut self) -> std::io::Result<Child> {
        let command = self.command.as_std_mut();
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        drop(self.dir);
        started
    }
}

impl Git {
    /// Finds the repository of a folder. Git does not search above these roots.
    pub fn search(folder: &Folder, roots: &[PathBuf]) -> Self {
        // Git does not search a ceiling itself, the longest ceiling counts, and the variable separates ceilings by
        // colons.
        let is_outermost = |root: &&PathBuf| !roots.iter().any(|other| other != *root && root.starts_with(other));
        let above = roots.iter().filter(is_outermost).filter_map(|root| root.parent().map(Path::as_os_str));
        let above: Vec<&OsStr> = above.filter(|folder| !folder.as_encoded_bytes().contains(&b':')).collect();
        Self {
            folder: WorkingDir::Held(folder.clone()),
            repository: RepositoryArgs::Search(above.join(OsStr::new(":"))),
            index: None,
        }
    }

    /// The user's repository with this git directory, for commands that only access references and objects.
    pub fn users(git_dir: &Folder) -> Self {
        Self { folder: WorkingDir::Held(git_dir.clone()), repository: RepositoryArgs::Users, index: None }
    }

    /// A repository of Runtrail's own without a working tree.
    pub fn own(git_dir: &Path) -> Self {
        Self {
            folder: WorkingDir::Own(git_dir.to_owned()),
            repository: RepositoryArgs::Own(git_dir.to_owned(), WorkTree::None),
            index: None,
        }
    }

    /// A new repository of Runtrail's own with this working tree.
    pub fn new_with_files(git_dir: &Path, files: &Path) -> Self {
        let repository = RepositoryArgs::Own(git_dir.to_owned(), WorkTree::In(files.to_owned()));
        Self { folder: WorkingDir::Own(files.to_owned()), repository, index: None }
    }

    /// A repository of Runtrail's own with this working tree, to which other programs can write.
    pub fn own_with_files(git_dir: &Path, files: &Folder) -> Self {
        let repository = RepositoryArgs::Own(git_dir.to_owned(), WorkTree::WorkingDir);
        Self { folder: WorkingDir::Held(files.clone()), repository, index: None }
    }

    pub fn with_index(mut self, index: &Path) -> Self {
        self.index = Some(index.to_owned());
        self
    }

    /// A command that is not started yet. `subcommand` is that of git.
    pub fn command<A: AsRef<OsStr>>(&self, subcommand: &str, args: impl IntoIterator<Item = A>) -> GitCommand {
        let mut git = Command::new("git");
        for setting in SETTINGS {
            git.args(["-c", setting]);
        }
        for (variable, _) in std::env::vars_os() {
            let name = variable.to_string_lossy();
            let is_own = matches!(self.repository, RepositoryArgs::Own(..));
            let is_inherited =
                INHERITED.iter().any(|known| name.starts_with(known) && !(is_own && *known == "GIT_CONFIG"));
            if name.starts_with("GIT_") && !is_inherited {
                git.env_remove(&variable);
            }
        }
        match &self.repository {
            RepositoryArgs::Search(ceilings) => {
                git.env("GIT_CEILING_DIRECTORIES", ceilings);
            }
            // Relative to the held folder. With it as the working tree, git uses no other folder, whatever
            // `core.worktree` says, and makes no path absolute.
            RepositoryArgs::Users => {
                git.args(["--git-dir=.", "--work-tree=."]);
            }
            RepositoryArgs::Own(git_dir, files) => {
                git.arg("--git-dir").arg(git_dir);
                match files {
                    WorkTree::None => {}
                    WorkTree::In(files) => drop(git.arg("--work-tree").arg(files)),
                    WorkTree::WorkingDir => drop(git.arg("--work-tree=.")),
                }
                git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
                git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_ATTR_NOSYSTEM", "1");
            }
        }
        if let Some(index) = &self.index {
            git.env("GIT_INDEX_FILE", index);
        }
        git.arg(subcommand).args(args);
        match &self.folder {
            WorkingDir::Own(folder) => git.current_dir(folder),
            WorkingDir::Held(folder) => git.current_dir(folder.as_child_sees_it()),
        };
        // No prompts, no fetches, no optional writes, messages in English, and paths that are not patterns.
        git.env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .env("LC_ALL", "C");
        git.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        GitCommand { command: git, dir: self.folder.clone() }
    }

    /// The output of a command.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn call<A: AsRef<OsStr>>(
        &self,
        subcommand: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Vec<u8>, GitError> {
        run(subcommand, self.command(subcommand, args), None).await.map(|exited| exited.stdout)
    }

    /// The output of a command with this input.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn call_with<A: AsRef<OsStr>>(
        &self,
        subcommand: &str,
        args: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> Result<Vec<u8>, GitError> {
        run(subcommand, self.command(subcommand, args), Some(input)).await.map(|exited| exited.stdout)
    }

    /// The output of a command as one line.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn line<A: AsRef<OsStr>>(
        &self,
        subcommand: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<String, GitError> {
        Ok(text(subcommand, self.call(subcommand, args).await?)?.trim_end().to_owned())
    }

    /// The output of a command as a path, which may contain line breaks and need not be UTF-8.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn path<A: AsRef<OsStr>>(
        &self,
        subcommand: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<PathBuf, GitError> {
        let mut bytes = self.call(subcommand, args).await?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        Ok(PathBuf::from(OsString::from_vec(bytes)))
    }
}

/// The output of a command as text.
///
/// # Errors
/// The output is not UTF-8.
pub fn text(subcommand: &str, bytes: Vec<u8>) -> Result<String, GitError> {
    String::from_utf8(bytes).map_err(|_| GitError::Unreadable(subcommand.to_owned()))
}

/// The parts of an output that are separated by NUL.
pub fn parts(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    output.split(|byte| *byte == 0).filter(|part| !part.is_empty())
}

/// Runs a command to its end.
///
/// # Errors
/// [`GitError`].
pub async fn run(subcommand: &str, git: GitCommand, input: Option<&[u8]>) -> Result<CommandExit, GitError> {
    let failed = |message: String| GitError::Failed { call: subcommand.to_owned(), message };
    let limits = CommandLimits { time: TIME_LIMIT, output: OutputBound::AtMost(MAX_OUTPUT_BYTES) };
    let GitCommand { command: git, dir: _held } = git;
    let exited = match command::run(git, input, limits, false).await {
        Ok(exited) => exited,
        Err(CommandError::NotStarted(error)) => return Err(GitError::Missing(error)),
        Err(CommandError::TimedOut(_)) => return Err(GitError::TimedOut(subcommand.to_owned())),
        Err(CommandError::TooMuchOutput) => return Err(GitError::TooMuchOutput(subcommand.to_owned())),
        Err(CommandError::WaitFailed(error)) => return Err(failed(error.to_string())),
    };
    if exited.status.success() {
        return Ok(exited);
    }
    let message = String::from_utf8_lossy(&exited.stderr);
    let message = message.trim();
    Err(failed(if message.is_empty() { exited.status.to_string() } else { message.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_commands_name_their_repository() {
        let folder = Folder::current().unwrap();
        let own = Git::own(Path::new("/own"));
        for git in [Git::users(&folder), own.clone(), Git::own_with_files(Path::new("/own"), &folder)] {
            let call = git.command("x", ["y"]);
            let args: Vec<_> = call.command.as_std().get_args().map(OsStr::to_string_lossy).collect();
            let before = args.iter().take_while(|arg| *arg != "x");
            assert!(before.into_iter().any(|arg| arg.starts_with("--git-dir")), "{args:?}");
            let dir = call.command.as_std().get_current_dir().unwrap();
            assert_eq!(dir.starts_with("/proc/self/fd"), dir != Path::new("/own"));
        }
    }

    #[test]
    fn git_searches_up_to_the_outermost_root() {
        let roots = ["/a/b", "/a/b/c", "/d:e/f", "/g", "/"].map(PathBuf::from);
        let ceilings = |roots: &[PathBuf]| {
            let call = Git::search(&Folder::current().unwrap(), roots).command("x", ["y"]);
            let mut all = call.command.as_std().get_envs();
            let found = all.find(|(name, _)| *name == "GIT_CEILING_DIRECTORIES").and_then(|(_, value)| value);
            found.unwrap().to_string_lossy().into_owned()
        };
        assert_eq!(ceilings(&roots[..4]), "/a:/");
        assert_eq!(ceilings(&roots), "");
    }
}
