//! The files of a commit, read without a checkout: writing thousands of files takes far longer than searching them.
//!
//! A file is read from the user's working tree if git's name for its content shows that it is unchanged, and from git's
//! objects otherwise.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use std::sync::mpsc;
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;

use super::command::OwnProcess;
use super::git::{GitError, TIME_LIMIT};
use super::git_objects::blob_name;
use super::own_repository::OwnRepository;
use super::source_text::{MAX_SOURCE_BYTES, SkipReason};
use super::workspace::Repositories;
use crate::confined_fs::Folder;

/// How much of git's error message is read.
const MAX_ERROR_BYTES: u64 = 1000;

/// An entry of the commit's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// `100644`, `100755`, `120000` for a link, `160000` for a submodule.
    pub mode: String,
    /// The name of its object.
    pub object: String,
}

impl TreeEntry {
    pub fn is_file(&self) -> bool {
        !self.is_link() && !self.is_submodule()
    }

    pub fn is_link(&self) -> bool {
        self.mode == "120000"
    }

    pub fn is_submodule(&self) -> bool {
        self.mode == "160000"
    }
}

/// The files of a commit below one folder.
pub struct CommitFiles {
    /// By path, relative to the folder.
    entries: BTreeMap<String, TreeEntry>,
    /// The paths that are not UTF-8, with replacement characters.
    non_utf8_paths: Vec<String>,
    store: OwnRepository,
    /// The path in the user's working tree.
    folder: PathBuf,
    /// The folder at that path, if it exists.
    files: Option<Folder>,
    /// Files that could not be read, with the reason.
    unreadable: Mutex<Vec<(String, String)>>,
    /// Idle git processes. Locked only to take one or put it back.
    idle: Mutex<Vec<CatFile>>,
}

impl CommitFiles {
    /// The files of the analyzed commit below the project's folder.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn of(repositories: &Repositories) -> Result<Self, GitError> {
        let (mut entries, mut non_utf8_paths) = (BTreeMap::new(), Vec::new());
        for line in repositories
            .own
            .list(&repositories.users.prefix)
            .await?
            .split(|byte| *byte == 0)
            .filter(|line| !line.is_empty())
        {
            let bad = || GitError::Unreadable("ls-tree".to_owned());
            let at = line.iter().position(|byte| *byte == b'\t').ok_or_else(bad)?;
            let (facts, path) = (std::str::from_utf8(&line[..at]).map_err(|_| bad())?, &line[at + 1..]);
            let mut facts = facts.split_ascii_whitespace();
            let (Some(mode), Some(_), Some(object)) = (facts.next(), facts.next(), facts.next()) else {
                return Err(bad());
            };
            let entry = TreeEntry { mode: mode.to_owned(), object: object.to_owned() };
            match std::str::from_utf8(path) {
                Ok(path) => drop(entries.insert(path.to_owned(), entry)),
                Err(_) => non_utf8_paths.push(String::from_utf8_lossy(path).into_owned()),
            }
        }
        let (store, folder) = (repositories.own.clone(), repositories.users.folder());
        let files = repositories.users.top.folder(&repositories.users.prefix).ok();
        Ok(Self { entries, non_utf8_paths, store, folder, files, unreadable: Mutex::default(), idle: Mutex::default() })
    }

    /// All entries with their paths, sorted.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &TreeEntry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    pub fn entry(&self, path: &str) -> Option<&TreeEntry> {
        self.entries.get(path)
    }

    /// The path in the user's working tree.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The paths that are not UTF-8, with replacement characters.
    pub fn non_utf8_paths(&self) -> &[String] {
        &self.non_utf8_paths
    }

    /// The text of a file.
    ///
    /// # Errors
    /// [`SkipReason`].
    pub fn text(&self, path: &str) -> Result<String, SkipReason> {
        let entry = self.entry(path).ok_or_else(|| SkipReason::Unreadable("the commit has no such file".to_owned()))?;
        if entry.is_link() {
            return Err(SkipReason::SymbolicLink);
        }
        if let Some(bytes) = self.unchanged_in_working_tree(path, entry) {
            return String::from_utf8(bytes).map_err(|_| SkipReason::TextNotUtf8);
        }
        match self.read(&entry.object) {
            Ok(BlobContent::Bytes(bytes)) => String::from_utf8(bytes).map_err(|_| SkipReason::TextNotUtf8),
            Ok(BlobContent::TooLarge(size)) => Err(SkipReason::TooLarge(size)),
            Err(error) => {
                let reason = error.to_string();
                self.unreadable.lock().push((path.to_owned(), reason.clone()));
                Err(SkipReason::Unreadable(reason))
            }
        }
    }

    /// The text of an optional file. That it cannot be read is not recorded as a fault.
    pub fn optional_text(&self, path: &str) -> Option<String> {
        let entry = self.entry(path).filter(|entry| entry.is_file())?;
        let bytes = self.unchanged_in_working_tree(path, entry).or_else(|| match self.read(&entry.object) {
            Ok(BlobContent::Bytes(bytes)) => Some(bytes),
            _ => None,
        })?;
        String::from_utf8(bytes).ok()
    }

    /// The files that git could not read so far, with its reasons: their objects are missing or damaged.
    pub fn unreadable(&self) -> Vec<(String, String)> {
        self.unreadable.lock().clone()
    }

    /// The files among these that are neither in git's objects nor in the user's working tree.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn missing(&self, paths: impl Iterator<Item = &str>) -> Result<Vec<String>, GitError> {
        let named: Vec<(&str, &TreeEntry)> = paths.filter_map(|path| Some((path, self.entry(path)?))).collect();
        let objects = named.iter().map(|(_, entry)| entry.object.as_str());
        let absent: std::collections::HashSet<String> = self.store.missing(objects).await?.into_iter().collect();
        let mut missing = Vec::new();
        for (path, entry) in named.into_iter().filter(|(_, entry)| absent.contains(&entry.object)) {
            if self.unchanged_in_working_tree(path, entry).is_none() {
                missing.push(path.to_owned());
            }
        }
        Ok(missing)
    }

    /// The file's content in the user's working tree, if it is the committed one.
    fn unchanged_in_working_tree(&self, path: &str, entry: &TreeEntry) -> Option<Vec<u8>> {
        let bytes = self.files.as_ref()?.read(Path::new(path), MAX_SOURCE_BYTES).ok()?;
        (blob_name(&bytes, entry.object.len()) == entry.object).then_some(bytes)
    }

    fn read(&self, object: &str) -> io::Result<BlobContent> {
        let idle = self.idle.lock().pop();
        let mut batch = idle.map_or_else(|| CatFile::start(&self.store), Ok)?;
        let content = batch.read(object)?;
        // A process that failed is not used again.
        self.idle.lock().push(batch);
        Ok(content)
    }
}

enum BlobContent {
    Bytes(Vec<u8>),
    /// More than [`MAX_SOURCE_BYTES`]: its size in bytes.
    TooLarge(u64),
}

/// A `git cat-file --batch`, which reads names of objects and prints their contents. It is killed if a response takes
/// too long.
struct CatFile {
    git: Child,
    /// Closed to end the process.
    requests: Option<ChildStdin>,
    responses: BufReader<ChildStdout>,
    errors: Option<ChildStderr>,
    /// Notified at the begin and the end of each request.
    watchdog: mpsc::Sender<()>,
    _process: OwnProcess,
}

impl CatFile {
    fn start(store: &OwnRepository) -> io::Result<Self> {
        let mut git = store.cat_file().start()?;
        let missing = || io::Error::other("git has no pipes");
        let process = OwnProcess::new(git.id());
        let (requests, responses) = (git.stdin.take(), git.stdout.take().ok_or_else(missing)?);
        let errors = git.stderr.take();
        let pid = Pid::from_raw(i32::try_from(git.id()).unwrap_or(i32::MAX));
        let (watchdog, requests_seen) = mpsc::channel();
        thread::spawn(move || {
            while requests_seen.recv().is_ok() {
                if requests_seen.recv_timeout(TIME_LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                    // The process is only reaped after the sender is dropped, so its id cannot have been reused.
                    let _ = kill(pid, Signal::SIGKILL);
                }
            }
        });
        let responses = BufReader::with_capacity(64 << 10, responses);
        Ok(Self { git, requests, responses, errors, watchdog, _process: process })
    }

    fn read(&mut self, object: &str) -> io::Result<BlobContent> {
        // Fails if the thread could not be started; then there is no time limit.
        let _ = self.watchdog.send(());
        let read = self.request(object);
        let _ = self.watchdog.send(());
        read.map_err(|error| self.explain(object, error))
    }

    fn request(&mut self, object: &str) -> io::Result<BlobContent> {
        if let Some(requests) = &mut self.requests {
            requests.write_all(format!("{object}\n").as_bytes())?;
        }
        // `<object> blob <size>`, or `<object> missing`.
        let mut header = String::new();
        self.responses.read_line(&mut header)?;
        let size = header.trim_end().rsplit_once(" blob ").and_then(|(_, size)| size.parse::<u64>().ok());
        let size = size.ok_or_else(|| io::Error::other(header.trim_end().to_owned()))?;
        // A line end follows the content.
        let mut response = (&mut self.responses).take(size + 1);
        if size > MAX_SOURCE_BYTES {
            io::copy(&mut response, &mut io::sink())?;
            return Ok(BlobContent::TooLarge(size));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
        response.read_to_end(&mut bytes)?;
        if bytes.pop() != Some(b'\n') || bytes.len() as u64 != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(BlobContent::Bytes(bytes))
    }

    /// The error with git's message. The process is not used again.
    fn explain(&mut self, object: &str, error: io::Error) -> io::Error {
        self.requests = None;
        let _ = self.git.kill();
        let mut message = Vec::new();
        if let Some(errors) = self.errors.take() {
            let _ = errors.take(MAX_ERROR_BYTES).read_to_end(&mut message);
        }
        let message = String::from_utf8_lossy(&message).trim().replace('\n', "; ");
        let message = if message.is_empty() { error.to_string() } else { message };
        io::Error::other(format!("git cannot read its object {object}: {message}"))
    }
}

impl Drop for CatFile {
    fn drop(&mut self) {
        self.requests = None;
        let _ = self.git.wait();
    }
}
