//! The checkout of a commit for checks and linters.
//!
//! It is what git would check out, but complete (without sparse patterns) and without executing filters. It includes
//! Git LFS files and submodules if the local clone has them; what it lacks is reported. Git itself converts line ends
//! (`eol`) and encodings (`working-tree-encoding`), of committed files and of patched ones.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::PhaseError;
use super::git::{Git, GitError, parts, run};
use super::lfs::{self, LfsFile};
use super::own_repository::{OwnRepository, borrow_objects, index_info, init};
use super::submodules::{self, Submodule};
use super::user_repository::UserRepository;
use super::workspace::{Repositories, Workspace};
use super::workspace_error::with_path;
use crate::confined_fs::Folder;

/// The file by which later phases open the checkout.
const CHECKOUT: &str = "checkout.json";

/// How many of the missing files a message names.
const NAMED_FILES: usize = 20;

/// The checked-out files of a commit.
#[derive(Debug, Serialize, Deserialize)]
pub struct Checkout {
    /// The repository itself first, then its submodules.
    parts: Vec<CheckoutPart>,
    /// What the checkout lacks.
    pub missing: Vec<MissingFile>,
}

/// The files of one repository.
#[derive(Debug, Serialize, Deserialize)]
struct CheckoutPart {
    #[serde(rename = "store")]
    repository: OwnRepository,
    /// The folder below the top of the checkout.
    below: PathBuf,
    #[serde(rename = "large")]
    lfs_files: Vec<LfsFile>,
}

/// A file or folder that is missing or incomplete in the checkout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingFile {
    /// Relative to the top of the repository.
    pub path: String,
    /// What is wrong and what to do.
    pub reason: String,
}

impl Checkout {
    /// Checks out the commit and its submodules.
    ///
    /// # Errors
    /// Git or the disk fails.
    pub async fn create(workspace: &Workspace, repositories: &Repositories) -> Result<Self, PhaseError> {
        let (files, allowed) = (workspace.checkout()?, workspace.allowed());
        let mut checkout = Self { parts: Vec::new(), missing: Vec::new() };
        let users = &repositories.users;
        let stores = [lfs_store(&users.common_dir)];
        let lfs_files = checkout.check_out(&repositories.own, &files, "", &stores).await?;
        checkout.parts.push(CheckoutPart { repository: repositories.own.clone(), below: PathBuf::new(), lfs_files });
        let mut pending = submodules::of(&repositories.own, users, allowed, "").await?;
        let mut number = 0;
        while let Some(module) = pending.pop() {
            number += 1;
            pending.extend(checkout.check_out_submodule(workspace, users, &files, module, number).await?);
        }
        checkout.missing.sort_by(|a, b| a.path.cmp(&b.path));
        add_git_dir(repositories, &files, &checkout.parts[0].lfs_files).await?;
        workspace.save(CHECKOUT, &checkout)?;
        Ok(checkout)
    }

    /// Checks out a submodule, or records why that is not possible; the submodules of the submodule.
    async fn check_out_submodule(
        &mut self,
        workspace: &Workspace,
        users: &UserRepository,
        files: &Folder,
        module: Submodule,
        number: usize,
    ) -> Result<Vec<Submodule>, PhaseError> {
        let mut missing = |path: String, reason: String| {
            self.missing.push(MissingFile { path, reason });
            Ok(Vec::new())
        };
        let clone = match module.clone {
            Ok(clone) => clone,
            Err(reason) => return missing(module.path, reason),
        };
        let below = PathBuf::from(&module.path);
        // The commit itself may have a link at that path.
        let Ok(folder) = files.make_folder(&below) else {
            return missing(module.path, "a submodule in the place of a link, which is not followed".to_owned());
        };
        let objects = clone.git_dir.join(Path::new("objects"));
        let git_dir = workspace.submodule_dir(number);
        let repository =
            OwnRepository::create(&git_dir, &objects, Some(&clone.git_dir), &users.format, &module.commit).await?;
        let tree = format!("{}^{{tree}}", module.commit);
        let has_commit = repository.git().call("cat-file", ["-e", &tree]).await.is_ok();
        let entries = if has_commit { repository.list(Path::new("")).await? } else { Vec::new() };
        let blobs = parts(&entries).filter_map(blob_of);
        if !has_commit || !repository.missing(blobs).await?.is_empty() {
            let commit = module.commit.get(..12).unwrap_or(&module.commit);
            let reason = format!(
                "a submodule whose commit {commit} is not in the local clone; run `git submodule update --init --recursive`"
            );
            return missing(module.path, reason);
        }
        let stores = [lfs_store(&clone.git_dir), lfs_store(&users.common_dir)];
        let lfs_files = self.check_out(&repository, &folder, &module.path, &stores).await?;
        let nested = submodules::nested(&repository, &clone, workspace.allowed(), &module.path).await?;
        self.parts.push(CheckoutPart { repository, below, lfs_files });
        Ok(nested)
    }

    /// Opens the checkout of [`Self::create`].
    ///
    /// # Errors
    /// I/O errors.
    pub fn load(workspace: &Workspace) -> io::Result<Self> {
        workspace.load(CHECKOUT)
    }

    /// Checks out the files of one repository; its Git LFS files.
    async fn check_out(
        &mut self,
        repository: &OwnRepository,
        folder: &Folder,
        prefix: &str,
        lfs_stores: &[PathBuf],
    ) -> Result<Vec<LfsFile>, PhaseError> {
        let git = repository.git_in(folder);
        git.call("read-tree", [&repository.head]).await?;
        let messages =
            run("checkout-index", git.command("checkout-index", ["-a", "-f", "-u", "-q"]), None).await?.stderr;
        let full = |path: &str| if prefix.is_empty() { path.to_owned() } else { format!("{prefix}/{path}") };
        for line in String::from_utf8_lossy(&messages).lines() {
            // failed to encode 'path' from UTF-8 to X
            if let Some((path, rest)) =
                line.split_once("failed to encode '").and_then(|(_, rest)| rest.rsplit_once("' from"))
            {
                let reason =
                    format!("it cannot be written in its working-tree-encoding (from{rest}), so it is in UTF-8");
                self.missing.push(MissingFile { path: full(path), reason });
            }
        }
        let mut lfs_files = Vec::new();
        for (path, attribute, value) in attributes(&git).await? {
            let place = PathBuf::from(OsStr::from_bytes(&path));
            let path = String::from_utf8_lossy(&path).into_owned();
            match (attribute.as_str(), value.as_str()) {
                // Git has converted the file, or printed that it cannot.
                ("working-tree-encoding", _) => {}
                ("filter", "lfs") => match lfs::replace_pointer(folder, &place, lfs_stores) {
                    Ok(Some(file)) => lfs_files.push(file),
                    // Not a pointer: the content itself is committed.
                    Ok(None) => {}
                    Err(reason) => self.missing.push(MissingFile { path: full(&path), reason }),
                },
                (_, filter) => {
                    let reason = format!("git's filter `{filter}` is not run, so it is as it is committed");
                    self.missing.push(MissingFile { path: full(&path), reason });
                }
            }
        }
        if !lfs_files.is_empty() {
            // Otherwise git would report the contents as changes of the pointers.
            let no_object = "0".repeat(repository.head.len());
            let removals = lfs_files.iter().map(|file| ("0", no_object.as_str(), file.path.as_path()));
            git.call_with("update-index", ["-z", "--index-info"], &index_info(removals)).await?;
        }
        Ok(lfs_files)
    }

    /// Restores all files that programs have changed to what they were checked out or set to; their number. Untracked
    /// files stay, since builds reuse them.
    ///
    /// # Errors
    /// Git or the disk fails.
    pub async fn restore(&self, files: &Folder) -> Result<usize, PhaseError> {
        let mut changed = 0;
        for part in &self.parts {
            let folder = files.clear_folder(&part.below).map_err(|error| with_path(&files.join(&part.below), error))?;
            let git = part.repository.git_in(&folder);
            let differing =
                git.call("diff-files", ["--name-only", "-z", "--no-ext-diff", "--ignore-submodules=all"]).await?;
            let differing = parts(&differing).count();
            if differing > 0 {
                git.call("checkout-index", ["-a", "-f", "-u", "-q"]).await?;
            }
            changed += differing;
            for file in &part.lfs_files {
                changed += usize::from(file.restore(&folder)?);
            }
        }
        Ok(changed)
    }

    /// Changes files of the repository to these objects: mode, object, path below its top.
    ///
    /// # Errors
    /// [`GitError`]; it names the file.
    pub async fn set(&self, folder: &Folder, files: &[(&str, &str, PathBuf)]) -> Result<(), GitError> {
        if files.is_empty() {
            return Ok(());
        }
        let git = self.parts[0].repository.git_in(folder);
        let entries = files.iter().map(|(mode, object, path)| (*mode, *object, path.as_path()));
        git.call_with("update-index", ["-z", "--index-info"], &index_info(entries)).await?;
        let paths: Vec<u8> =
            files.iter().flat_map(|(_, _, path)| [path.as_os_str().as_bytes(), b"\0"].concat()).collect();
        git.call_with("checkout-index", ["-f", "-u", "-q", "-z", "--stdin"], &paths).await.map(drop)
    }

    /// A list of what is missing, for a message; `None` if nothing is.
    pub fn lacks(&self) -> Option<String> {
        if self.missing.is_empty() {
            return None;
        }
        let mut lines: Vec<String> = self
            .missing
            .iter()
            .take(NAMED_FILES)
            .map(|missing| format!("  {}: {}", missing.path, missing.reason))
            .collect();
        if self.missing.len() > NAMED_FILES {
            lines.push(format!("  and {} more", self.missing.len() - NAMED_FILES));
        }
        Some(lines.join("\n"))
    }
}

/// The folder with the contents of Git LFS files.
fn lfs_store(git_dir: &Folder) -> PathBuf {
    git_dir.join(Path::new("lfs/objects"))
}

/// The object of a line of `git ls-tree`, if it is a file.
pub fn blob_of(line: &[u8]) -> Option<&str> {
    let facts = std::str::from_utf8(line.split(|byte| *byte == b'\t').next()?).ok()?;
    let mut facts = facts.split(' ');
    let (_, kind, object) = (facts.next()?, facts.next()?, facts.next()?);
    (kind == "blob").then_some(object)
}

/// The git attributes that affect how files are checked out: path, attribute, value.
async fn attributes(git: &Git) -> Result<Vec<(Vec<u8>, String, String)>, GitError> {
    let paths = git.call("ls-files", ["-z"]).await?;
    let args = ["--cached", "-z", "--stdin", "filter", "working-tree-encoding"];
    let answer = git.call_with("check-attr", args, &paths).await?;
    let mut answer = answer.split(|byte| *byte == 0);
    let mut found = Vec::new();
    while let (Some(path), Some(attribute), Some(value)) = (answer.next(), answer.next(), answer.next()) {
        let value = String::from_utf8_lossy(value).into_owned();
        if !["unspecified", "unset", "set"].contains(&value.as_str()) {
            found.push((path.to_vec(), String::from_utf8_lossy(attribute).into_owned(), value));
        }
    }
    Ok(found)
}

/// Adds a `.git` folder to the checkout for programs that need a repository: at the commit, with the user's references
/// and objects, and nothing else of theirs. Runtrail itself never uses it.
#[expect(
    clippy::disallowed_methods,
    reason = "no command has run in the checkout yet, and no commit has an entry `.git`"
)]
async fn add_git_dir(repositories: &Repositories, files: &Folder, lfs_files: &[LfsFile]) -> Result<(), PhaseError> {
    let (git_dir, files) = (files.join(Path::new(".git")), files.path());
    let repository = &repositories.users;
    let git = Git::new_with_files(&git_dir, files);
    init(git.command("init", ["--quiet", "--template="]), &git_dir, &repository.format).await?;
    borrow_objects(&git_dir, repository.objects(), Some(&repository.common_dir))?;
    std::fs::write(git_dir.join("packed-refs"), repository.references().await?)?;
    std::fs::write(git_dir.join("HEAD"), format!("{}\n", repository.head))?;
    if lfs_files.is_empty() {
        std::fs::copy(repositories.own.index_path(), git_dir.join("index"))?;
        return Ok(());
    }
    git.call("read-tree", [&repository.head]).await?;
    let refreshed = git.call("update-index", ["-q", "--refresh"]).await;
    // It fails if a file differs from the index.
    if let Err(error) = refreshed
        && !matches!(error, GitError::Failed { .. })
    {
        return Err(error.into());
    }
    let paths = lfs_files.iter().map(|file| file.path.as_os_str().as_bytes());
    let paths: Vec<u8> = paths.flat_map(|path| [path, b"\0"].concat()).collect();
    git.call_with("update-index", ["--assume-unchanged", "-z", "--stdin"], &paths).await?;
    Ok(())
}
