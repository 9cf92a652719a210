//! The code of a commit, read from git's objects: exactly what was committed, without writing thousands of files first.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::{Mutex, PoisonError};

use super::files::{LARGEST, Skip};
use super::git::{GitError, Repository};

/// A file of the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What git says it is: `100644`, `100755`, `120000` for a link, `160000` for a submodule.
    pub mode: String,
    /// The name of its content.
    pub object: String,
    /// In bytes.
    pub size: u64,
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
    repository: Repository,
    /// Processes of git that wait to be asked for contents. Held to take one or give it back.
    idle: Mutex<Vec<Batch>>,
}

impl Code {
    /// What the commit that is worked on has below the folder that was asked for.
    ///
    /// # Errors
    /// [`GitError`].
    pub async fn of(repository: &Repository) -> Result<Self, GitError> {
        let (mut entries, mut unnamed) = (BTreeMap::new(), Vec::new());
        for line in repository.list().await?.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
            let bad = || GitError::Unreadable("ls-tree".to_owned());
            let at = line.iter().position(|byte| *byte == b'\t').ok_or_else(bad)?;
            let (facts, path) = (std::str::from_utf8(&line[..at]).map_err(|_| bad())?, &line[at + 1..]);
            let mut facts = facts.split_ascii_whitespace();
            let (Some(mode), Some(_), Some(object), Some(size)) =
                (facts.next(), facts.next(), facts.next(), facts.next())
            else {
                return Err(bad());
            };
            // What is no file has no size.
            let entry = Entry { mode: mode.to_owned(), object: object.to_owned(), size: size.parse().unwrap_or(0) };
            match std::str::from_utf8(path) {
                Ok(path) => drop(entries.insert(path.to_owned(), entry)),
                Err(_) => unnamed.push(String::from_utf8_lossy(path).into_owned()),
            }
        }
        Ok(Self { entries, unnamed, repository: repository.clone(), idle: Mutex::default() })
    }

    /// Every file with its path, sorted.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// The file at a path.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
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
        if entry.size > LARGEST {
            return Err(Skip::Large(entry.size));
        }
        let bytes = self.read(&entry.object).map_err(|error| Skip::Unreadable(error.to_string()))?;
        String::from_utf8(bytes).map_err(|_| Skip::Text)
    }

    fn read(&self, object: &str) -> io::Result<Vec<u8>> {
        let lock = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = lock().pop();
        let mut batch = idle.map_or_else(|| Batch::start(&self.repository), Ok)?;
        let bytes = batch.read(object)?;
        // One that failed is not asked again.
        lock().push(batch);
        Ok(bytes)
    }
}

/// A `git cat-file --batch`: an object's name in, its content out.
struct Batch {
    git: Child,
    /// Closed to make it end.
    ask: Option<ChildStdin>,
    answer: BufReader<ChildStdout>,
}

impl Batch {
    fn start(repository: &Repository) -> io::Result<Self> {
        let mut git = repository.cat_file()?;
        let missing = || io::Error::other("git has no pipes");
        let (ask, answer) = (git.stdin.take(), git.stdout.take().ok_or_else(missing)?);
        Ok(Self { git, ask, answer: BufReader::with_capacity(64 << 10, answer) })
    }

    fn read(&mut self, object: &str) -> io::Result<Vec<u8>> {
        if let Some(ask) = &mut self.ask {
            ask.write_all(format!("{object}\n").as_bytes())?;
        }
        // `<object> blob <size>`, or `<object> missing`.
        let mut head = String::new();
        self.answer.read_line(&mut head)?;
        let size = head.trim_end().rsplit_once(" blob ").and_then(|(_, size)| size.parse::<usize>().ok());
        let size = size.ok_or_else(|| io::Error::other(format!("git cat-file answered: {}", head.trim_end())))?;
        let mut bytes = vec![0; size];
        self.answer.read_exact(&mut bytes)?;
        self.answer.read_exact(&mut [0])?;
        Ok(bytes)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.ask = None;
        let _ = self.git.wait();
    }
}
