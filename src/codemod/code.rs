//! The code of a commit, without a checkout of it: writing thousands of files takes far longer than searching them.
//!
//! A file in the user's working tree is read where it lies if its text is what was committed, which git's name of the content
//! says; any other comes from git's objects.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::command::Running;
use super::files::{LARGEST, Skip};
use super::git::{GitError, TIME_LIMIT};
use super::store::Store;
use super::workspace::Tree;
use crate::confined_fs::Folder;

/// How much is read of what git says of an object that it cannot read, in bytes.
const SAID: u64 = 1000;

/// A file of the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What git says it is: `100644`, `100755`, `120000` for a link, `160000` for a submodule.
    pub mode: String,
    /// The name of its content.
    pub object: String,
}

impl Entry {
    /// Whether it has a text.
    pub fn is_file(&self) -> bool {
        !self.is_link() && !self.is_submodule()
    }

    /// Whether it leads elsewhere.
    pub fn is_link(&self) -> bool {
        self.mode == "120000"
    }

    /// Whether it is another repository's commit.
    pub fn is_submodule(&self) -> bool {
        self.mode == "160000"
    }
}

/// The files of a commit below one folder.
pub struct Code {
    /// By path, relative to the folder.
    entries: BTreeMap<String, Entry>,
    /// The paths that are not UTF-8, with what is none replaced.
    unnamed: Vec<String>,
    store: Store,
    /// The folder in the user's working tree.
    folder: PathBuf,
    /// The same, if it is there.
    files: Option<Folder>,
    /// Files that could not be read, with the reason.
    lost: Mutex<Vec<(String, String)>>,
    /// Processes of git that wait to be asked for contents. Held to take one or give it back.
    idle: Mutex<Vec<Batch>>,
}

impl Code {
    /// What the commit that is worked on has below the folder that was asked for.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn of(tree: &Tree) -> Result<Self, GitError> {
        let (mut entries, mut unnamed) = (BTreeMap::new(), Vec::new());
        for line in
            tree.store.list(&tree.repository.prefix).await?.split(|byte| *byte == 0).filter(|line| !line.is_empty())
        {
            let bad = || GitError::Unreadable("ls-tree".to_owned());
            let at = line.iter().position(|byte| *byte == b'\t').ok_or_else(bad)?;
            let (facts, path) = (std::str::from_utf8(&line[..at]).map_err(|_| bad())?, &line[at + 1..]);
            let mut facts = facts.split_ascii_whitespace();
            let (Some(mode), Some(_), Some(object)) = (facts.next(), facts.next(), facts.next()) else {
                return Err(bad());
            };
            let entry = Entry { mode: mode.to_owned(), object: object.to_owned() };
            match std::str::from_utf8(path) {
                Ok(path) => drop(entries.insert(path.to_owned(), entry)),
                Err(_) => unnamed.push(String::from_utf8_lossy(path).into_owned()),
            }
        }
        let (store, folder) = (tree.store.clone(), tree.repository.folder());
        let files = tree.repository.top.folder(&tree.repository.prefix).ok();
        Ok(Self { entries, unnamed, store, folder, files, lost: Mutex::default(), idle: Mutex::default() })
    }

    /// Every file with its path, sorted.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// The file at a path.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// The folder in the user's working tree.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Paths that are not UTF-8.
    pub fn unnamed(&self) -> &[String] {
        &self.unnamed
    }

    /// The text of a file.
    ///
    /// # Errors
    /// [`Skip`]: it has none that can be looked at.
    pub fn text(&self, path: &str) -> Result<String, Skip> {
        let entry = self.entry(path).ok_or_else(|| Skip::Unreadable("the commit has no such file".to_owned()))?;
        if entry.is_link() {
            return Err(Skip::Link);
        }
        if let Some(bytes) = self.as_it_lies(path, entry) {
            return String::from_utf8(bytes).map_err(|_| Skip::Text);
        }
        match self.read(&entry.object) {
            Ok(Content::Bytes(bytes)) => String::from_utf8(bytes).map_err(|_| Skip::Text),
            Ok(Content::Large(size)) => Err(Skip::Large(size)),
            Err(error) => {
                let reason = error.to_string();
                let lock = self.lost.lock();
                lock.unwrap_or_else(PoisonError::into_inner).push((path.to_owned(), reason.clone()));
                Err(Skip::Unreadable(reason))
            }
        }
    }

    /// The text of a file that the work can do without: if it cannot be read, nothing is lost.
    pub fn peek(&self, path: &str) -> Option<String> {
        let entry = self.entry(path).filter(|entry| entry.is_file())?;
        let bytes = self.as_it_lies(path, entry).or_else(|| match self.read(&entry.object) {
            Ok(Content::Bytes(bytes)) => Some(bytes),
            _ => None,
        })?;
        String::from_utf8(bytes).ok()
    }

    /// The files that git could not read so far, with its reasons: its objects are missing or damaged.
    pub fn lost(&self) -> Vec<(String, String)> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Which of these files are neither among git's objects nor in the user's working tree.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn missing(&self, paths: impl Iterator<Item = &str>) -> Result<Vec<String>, GitError> {
        let named: Vec<(&str, &Entry)> = paths.filter_map(|path| Some((path, self.entry(path)?))).collect();
        let objects = named.iter().map(|(_, entry)| entry.object.as_str());
        let gone: std::collections::HashSet<String> = self.store.missing(objects).await?.into_iter().collect();
        let mut missing = Vec::new();
        for (path, entry) in named.into_iter().filter(|(_, entry)| gone.contains(&entry.object)) {
            if self.as_it_lies(path, entry).is_none() {
                missing.push(path.to_owned());
            }
        }
        Ok(missing)
    }

    /// The file in the user's working tree, if it is what was committed.
    fn as_it_lies(&self, path: &str, entry: &Entry) -> Option<Vec<u8>> {
        let bytes = self.files.as_ref()?.read(Path::new(path), LARGEST).ok()?;
        (name_of(&bytes, entry.object.len()) == entry.object).then_some(bytes)
    }

    fn read(&self, object: &str) -> io::Result<Content> {
        let lock = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = lock().pop();
        let mut batch = idle.map_or_else(|| Batch::start(&self.store), Ok)?;
        let content = batch.read(object)?;
        // One that failed is not asked again.
        lock().push(batch);
        Ok(content)
    }
}

/// What an object holds.
enum Content {
    /// All of it.
    Bytes(Vec<u8>),
    /// More than is looked at: its size in bytes.
    Large(u64),
}

/// Git's name of a content, of so many digits: SHA-1 has 40, SHA-256 64 (gitformat-pack(5), hash-function-transition).
pub fn name_of(bytes: &[u8], digits: usize) -> String {
    let head = format!("blob {}\0", bytes.len());
    let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match digits {
        64 => hex(&Sha256::new().chain_update(head).chain_update(bytes).finalize()),
        _ => hex(&Sha1::new().chain_update(head).chain_update(bytes).finalize()),
    }
}

/// A `git cat-file --batch`: an object's name in, its content out. It is ended if an answer takes too long.
struct Batch {
    git: Child,
    /// Closed to make it end.
    ask: Option<ChildStdin>,
    answer: BufReader<ChildStdout>,
    errors: Option<ChildStderr>,
    /// Told when a question is asked and when it is answered.
    watch: mpsc::Sender<()>,
    _running: Running,
}

impl Batch {
    fn start(store: &Store) -> io::Result<Self> {
        let mut git = store.cat_file().start()?;
        let missing = || io::Error::other("git has no pipes");
        let running = Running::new(git.id());
        let (ask, answer) = (git.stdin.take(), git.stdout.take().ok_or_else(missing)?);
        let errors = git.stderr.take();
        let pid = Pid::from_raw(i32::try_from(git.id()).unwrap_or(i32::MAX));
        let (watch, told) = mpsc::channel();
        thread::spawn(move || {
            while told.recv().is_ok() {
                if told.recv_timeout(TIME_LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                    // It is not waited for before the watch is dropped, so its process id is still its own.
                    let _ = kill(pid, Signal::SIGKILL);
                }
            }
        });
        let answer = BufReader::with_capacity(64 << 10, answer);
        Ok(Self { git, ask, answer, errors, watch, _running: running })
    }

    fn read(&mut self, object: &str) -> io::Result<Content> {
        // Nobody listens if the thread could not be started.
        let _ = self.watch.send(());
        let read = self.ask_and_read(object);
        let _ = self.watch.send(());
        read.map_err(|error| self.explain(object, error))
    }

    fn ask_and_read(&mut self, object: &str) -> io::Result<Content> {
        if let Some(ask) = &mut self.ask {
            ask.write_all(format!("{object}\n").as_bytes())?;
        }
        // `<object> blob <size>`, or `<object> missing`.
        let mut head = String::new();
        self.answer.read_line(&mut head)?;
        let size = head.trim_end().rsplit_once(" blob ").and_then(|(_, size)| size.parse::<u64>().ok());
        let size = size.ok_or_else(|| io::Error::other(head.trim_end().to_owned()))?;
        // With the line end behind it.
        let mut answer = (&mut self.answer).take(size + 1);
        if size > LARGEST {
            io::copy(&mut answer, &mut io::sink())?;
            return Ok(Content::Large(size));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
        answer.read_to_end(&mut bytes)?;
        if bytes.pop() != Some(b'\n') || bytes.len() as u64 != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Content::Bytes(bytes))
    }

    /// An error with what git says of it. The process is not asked again.
    fn explain(&mut self, object: &str, error: io::Error) -> io::Error {
        self.ask = None;
        let _ = self.git.kill();
        let mut said = Vec::new();
        if let Some(errors) = self.errors.take() {
            let _ = errors.take(SAID).read_to_end(&mut said);
        }
        let said = String::from_utf8_lossy(&said).trim().replace('\n', "; ");
        let said = if said.is_empty() { error.to_string() } else { said };
        io::Error::other(format!("git cannot read its object {object}: {said}"))
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.ask = None;
        let _ = self.git.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `git hash-object` says it.
    #[test]
    fn names_are_those_of_git() {
        assert_eq!(name_of(b"", 40), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(name_of(b"hello\n", 40), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(name_of(b"", 64), "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813");
    }
}
