//! Git, by its command line. There is no call without a [`Git`], which names the repository it works on. Each has a limit of time and output, and runs nothing that a
//! configuration or the environment names: no hooks, no filters, no transports, no file system monitor.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use tokio::process::Command;

use crate::confined_fs::Folder;

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
    /// A part of it is where runs may not work.
    #[error("the repository of {} has its {what} at {}, which is outside the folders that runs may work in; {remedy}", folder.display(), path.display())]
    Outside {
        /// The folder that is worked on.
        folder: PathBuf,
        /// Which part.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What to do.
        remedy: String,
    },
    /// Its folders are others than before.
    #[error("{0} was moved or exchanged while the run worked on it; start the run again")]
    Exchanged(PathBuf),
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

/// The repository that calls work on. There is no call without one.
#[derive(Clone, Debug)]
pub struct Git {
    folder: At,
    repository: Named,
    index: Option<PathBuf>,
}

/// The folder that a call is made in.
#[derive(Clone, Debug)]
enum At {
    /// One of Runtrail's own.
    Own(PathBuf),
    /// One that is held open, wherever it is moved to.
    Held(Folder),
}

/// How the repository of a call is named.
#[derive(Clone, Debug)]
enum Named {
    /// It is the one that the folder is in, up to these. Only to find it.
    Search(OsString),
    /// The user's own, which the folder is, with the user's configuration.
    Users,
    /// One that Runtrail has made, without any configuration but its own.
    Own(PathBuf, Files),
}

/// Where the files of a repository of Runtrail's own are.
#[derive(Clone, Debug)]
enum Files {
    /// Calls need none.
    None,
    /// Here.
    In(PathBuf),
    /// In the folder that the call is made in.
    Here,
}

/// A call of git that is not started yet.
#[derive(Debug)]
pub struct Call {
    command: Command,
    /// Held until it is started.
    at: At,
}

impl Call {
    /// With one more argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// With these variables.
    pub fn envs<'a>(mut self, variables: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        self.command.envs(variables);
        self
    }

    /// Starts it with pipes for all that it reads and prints.
    ///
    /// # Errors
    /// The system's.
    pub fn start(mut self) -> std::io::Result<Child> {
        let command = self.command.as_std_mut();
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        drop(self.at);
        started
    }
}

impl Git {
    /// Finds the repository that a folder is in. It is not looked for above these folders.
    pub fn search(folder: &Folder, roots: &[PathBuf]) -> Self {
        // A ceiling is itself not looked at, the longest one counts, and the variable's parts are separated by colons.
        let is_outermost = |root: &&PathBuf| !roots.iter().any(|other| other != *root && root.starts_with(other));
        let above = roots.iter().filter(is_outermost).filter_map(|root| root.parent().map(Path::as_os_str));
        let above: Vec<&OsStr> = above.filter(|folder| !folder.as_encoded_bytes().contains(&b':')).collect();
        Self { folder: At::Held(folder.clone()), repository: Named::Search(above.join(OsStr::new(":"))), index: None }
    }

    /// The user's repository, which is this folder: calls that only read or write references and objects.
    pub fn users(git_dir: &Folder) -> Self {
        Self { folder: At::Held(git_dir.clone()), repository: Named::Users, index: None }
    }

    /// A repository of Runtrail's own, without files.
    pub fn own(git_dir: &Path) -> Self {
        Self {
            folder: At::Own(git_dir.to_owned()),
            repository: Named::Own(git_dir.to_owned(), Files::None),
            index: None,
        }
    }

    /// A repository of Runtrail's own that is new, and whose files are in this folder.
    pub fn new_with_files(git_dir: &Path, files: &Path) -> Self {
        let repository = Named::Own(git_dir.to_owned(), Files::In(files.to_owned()));
        Self { folder: At::Own(files.to_owned()), repository, index: None }
    }

    /// A repository of Runtrail's own whose files are in this folder, which others can write to.
    pub fn own_with_files(git_dir: &Path, files: &Folder) -> Self {
        let repository = Named::Own(git_dir.to_owned(), Files::Here);
        Self { folder: At::Held(files.clone()), repository, index: None }
    }

    /// The same with another index.
    pub fn with_index(mut self, index: &Path) -> Self {
        self.index = Some(index.to_owned());
        self
    }

    /// A call that is not started yet.
    pub fn command<A: AsRef<OsStr>>(&self, call: &str, args: impl IntoIterator<Item = A>) -> Call {
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
            Named::Search(ceilings) => {
                git.env("GIT_CEILING_DIRECTORIES", ceilings);
            }
            // Relative to the folder that is held. With a working tree that is this folder, git goes nowhere else, whatever
            // `core.worktree` says, and turns no path into an absolute one.
            Named::Users => {
                git.args(["--git-dir=.", "--work-tree=."]);
            }
            Named::Own(git_dir, files) => {
                git.arg("--git-dir").arg(git_dir);
                match files {
                    Files::None => {}
                    Files::In(files) => drop(git.arg("--work-tree").arg(files)),
                    Files::Here => drop(git.arg("--work-tree=.")),
                }
                git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
                git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_ATTR_NOSYSTEM", "1");
            }
        }
        if let Some(index) = &self.index {
            git.env("GIT_INDEX_FILE", index);
        }
        git.arg(call).args(args);
        match &self.folder {
            At::Own(folder) => git.current_dir(folder),
            At::Held(folder) => git.current_dir(folder.as_child_sees_it()),
        };
        // Nobody is there to answer; nothing is fetched; nothing is written but what is asked for; messages are read here, in
        // English; paths are names and no patterns.
        git.env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .env("LC_ALL", "C");
        git.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        Call { command: git, at: self.folder.clone() }
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
pub async fn run(call: &str, git: Call, input: Option<&[u8]>) -> Result<Exited, GitError> {
    let failed = |message: String| GitError::Failed { call: call.to_owned(), message };
    let limits = Limits { time: TIME_LIMIT, output: Output::AtMost(OUTPUT_LIMIT) };
    let Call { command: git, at: _held } = git;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_names_its_repository() {
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
    fn a_repository_is_looked_for_up_to_the_outermost_allowed_folder() {
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
