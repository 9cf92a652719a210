//! A real git repository, and what must not change in it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::World;

pub struct Repository {
    path: PathBuf,
}

impl Repository {
    /// An empty one in the world's project folder.
    pub fn new(world: &World, name: &str) -> Self {
        let path = world.file(name);
        std::fs::create_dir_all(&path).unwrap();
        let repository = Self { path };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.git(&["config", "user.name", "An Operator"]);
        repository.git(&["config", "user.email", "operator@example.org"]);
        repository
    }

    /// The one that is there, or will be.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn git(&self, args: &[&str]) -> String {
        String::from_utf8(git(&self.path, args, None, &[])).unwrap()
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let file = self.path.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// Writes these files and commits all there is.
    pub fn commit(&self, files: &[(&str, &str)]) {
        files.iter().for_each(|(path, text)| self.write(path, text));
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "files"]);
    }

    /// The id of all files of a commit.
    pub fn tree(&self, commit: &str) -> String {
        self.git(&["rev-parse", &format!("{commit}^{{tree}}")])
    }

    /// The id of all files when these patches are applied to those of a commit, by git, in an index of its own.
    pub fn applied(&self, commit: &str, patches: &[Value]) -> String {
        let folder = TempDir::new().unwrap();
        let index = folder.path().join("index");
        let index = &[("GIT_INDEX_FILE", index.to_str().unwrap())];
        git(&self.path, &["read-tree", commit], None, index);
        let patches: String = patches.iter().map(|patch| patch["diff"].as_str().unwrap()).collect();
        if !patches.is_empty() {
            git(&self.path, &["apply", "--cached", "--whitespace=nowarn", "-"], Some(&patches), index);
        }
        String::from_utf8(git(&self.path, &["write-tree"], None, index)).unwrap()
    }
}

fn git(folder: &Path, args: &[&str], input: Option<&str>, variables: &[(&str, &str)]) -> Vec<u8> {
    let mut git = Command::new("git");
    git.args(args).current_dir(folder).envs(variables.iter().copied()).env("GIT_OPTIONAL_LOCKS", "0");
    let mut git = git.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Closed when it is written, which is when git begins.
    git.stdin.take().unwrap().write_all(input.unwrap_or_default().as_bytes()).unwrap();
    let done = git.wait_with_output().unwrap();
    assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// The user's part of a repository: every file of the working tree, the index, the current branch, all refs.
#[derive(Debug, PartialEq)]
pub struct Snapshot {
    files: BTreeMap<PathBuf, Vec<u8>>,
    index: Vec<u8>,
    head: String,
    refs: BTreeMap<String, String>,
    worktrees: String,
}

impl Snapshot {
    pub fn of(repository: &Repository) -> Self {
        let path = repository.path();
        let mut files = BTreeMap::new();
        let mut folders = vec![path.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let kind = entry.file_type().unwrap();
                if kind.is_dir() && entry.file_name() != ".git" {
                    folders.push(entry.path());
                } else if kind.is_symlink() {
                    let target = std::fs::read_link(entry.path()).unwrap();
                    files.insert(entry.path(), target.into_os_string().into_encoded_bytes());
                } else if kind.is_file() {
                    files.insert(entry.path(), std::fs::read(entry.path()).unwrap());
                }
            }
        }
        let refs = repository.git(&["for-each-ref", "--format=%(refname:short) %(objectname)"]);
        let refs = refs.lines().filter_map(|line| line.split_once(' '));
        Self {
            files,
            index: std::fs::read(path.join(".git/index")).unwrap_or_default(),
            head: std::fs::read_to_string(path.join(".git/HEAD")).unwrap(),
            refs: refs.map(|(name, id)| (name.to_owned(), id.to_owned())).collect(),
            worktrees: repository.git(&["worktree", "list"]),
        }
    }

    /// That the repository is as it was but for these new branches.
    pub fn assert_untouched(&self, repository: &Repository, branches: &[&str]) {
        let mut now = Self::of(repository);
        for branch in branches {
            assert!(now.refs.remove(*branch).is_some(), "no branch {branch}");
        }
        assert_eq!(&now, self);
        assert!(repository.git(&["fsck", "--no-dangling", "--no-progress"]).is_empty());
    }
}
