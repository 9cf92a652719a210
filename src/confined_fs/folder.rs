//! A folder that is held open.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, fstat, mkdirat, open, statat, unlinkat,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::resolve::{open_beneath, open_canonical};

/// How a folder is held: it can be entered and looked up in, whatever may be read of it.
pub(super) const HELD: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Which file of the system something is, wherever it is moved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    device: u64,
    number: u64,
}

/// Who something belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user's number.
    pub user: u32,
    /// The group's number.
    pub group: u32,
}

/// A folder that is held open. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Folder {
    descriptor: Arc<OwnedFd>,
    path: PathBuf,
}

impl Folder {
    /// Opens a folder by a path that the operator has given, or that is Runtrail's own. Links are followed.
    ///
    /// # Errors
    /// The system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::new(open(path, HELD, Mode::empty())?, path.to_owned()))
    }

    /// Opens a folder by an absolute path that has no links in it. If it has one by now, that is an error.
    ///
    /// # Errors
    /// The system's.
    pub fn open_canonical(path: &Path) -> io::Result<Self> {
        Ok(Self::new(open_canonical(path, HELD)?, path.to_owned()))
    }

    /// The folder that this process is in.
    ///
    /// # Errors
    /// The system's.
    pub fn current() -> io::Result<Self> {
        let path = std::env::current_dir()?;
        Ok(Self::new(open(".", HELD, Mode::empty())?, path))
    }

    /// Opens a folder below this one. No link is followed. An empty path is the folder itself.
    ///
    /// # Errors
    /// The system's.
    pub fn folder(&self, below: &Path) -> io::Result<Self> {
        let opened = open_beneath(self, below, HELD, ResolveFlags::empty())?;
        Ok(Self::new(opened, self.join(below)))
    }

    /// Opens a folder below this one, and makes it if it is not there.
    ///
    /// # Errors
    /// The system's. Something else than a folder is there.
    pub fn make_folder(&self, below: &Path) -> io::Result<Self> {
        self.make(below, false)
    }

    /// Opens a folder below this one. Where a link or a file is in the way of one of its names, a folder takes its place.
    ///
    /// # Errors
    /// The system's.
    pub fn clear_folder(&self, below: &Path) -> io::Result<Self> {
        self.make(below, true)
    }

    fn make(&self, below: &Path, clears: bool) -> io::Result<Self> {
        let mut at = self.clone();
        for name in below.iter() {
            let name = Path::new(name);
            at = match at.folder(name) {
                Ok(folder) => folder,
                Err(error) => {
                    let is_other = [Errno::NOTDIR, Errno::LOOP].into_iter().any(|errno| is(&error, errno));
                    if clears && is_other {
                        unlinkat(&at, name, AtFlags::empty())?;
                    } else if !is(&error, Errno::NOENT) {
                        return Err(error);
                    }
                    match mkdirat(&at, name, Mode::RWXU | Mode::RWXG | Mode::RWXO) {
                        // Another one was faster.
                        Err(Errno::EXIST) | Ok(()) => at.folder(name)?,
                        Err(error) => return Err(error.into()),
                    }
                }
            };
        }
        Ok(at)
    }

    /// Removes a folder below this one, if it is empty.
    ///
    /// # Errors
    /// The system's.
    pub fn remove_empty(&self, below: &Path) -> io::Result<()> {
        let (parent, name) = self.parent_of(below)?;
        Ok(unlinkat(&parent, name, AtFlags::REMOVEDIR)?)
    }

    /// Gives the folder itself, and nothing in it, to somebody. Only root can.
    ///
    /// # Errors
    /// The system's.
    pub fn give_to(&self, owner: Owner) -> io::Result<()> {
        let (user, group) = (Uid::from_raw(owner.user), Gid::from_raw(owner.group));
        Ok(chownat(self, "", Some(user), Some(group), AtFlags::EMPTY_PATH)?)
    }

    /// Which folder it is.
    ///
    /// # Errors
    /// The system's.
    pub fn identity(&self) -> io::Result<Identity> {
        let facts = fstat(self)?;
        Ok(Identity { device: facts.st_dev, number: facts.st_ino })
    }

    /// Whether there is a regular file at a path below, and no link.
    pub fn has_file(&self, below: &Path) -> bool {
        self.kind(below).is_ok_and(|kind| kind == FileType::RegularFile)
    }

    /// What there is at a path below. A link is a link.
    pub(super) fn kind(&self, below: &Path) -> io::Result<FileType> {
        let (parent, name) = self.parent_of(below)?;
        let facts = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(FileType::from_raw_mode(facts.st_mode))
    }

    /// The path it was opened by: for people, and for programs that are told where something is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where something below was when this was opened.
    pub fn join(&self, below: &Path) -> PathBuf {
        if below.as_os_str().is_empty() { self.path.clone() } else { self.path.join(below) }
    }

    /// What a child enters it by, while this is held: the descriptor is closed by the time the child's program begins.
    pub fn as_child_sees_it(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.descriptor.as_raw_fd()))
    }

    /// The folder that something below is in, and its name.
    pub(super) fn parent_of<'a>(&self, below: &'a Path) -> io::Result<(Self, &'a OsStr)> {
        let name = below.file_name().ok_or(Errno::INVAL)?;
        let parent = below.parent().unwrap_or(Path::new(""));
        Ok((self.folder(parent)?, name))
    }

    fn new(descriptor: OwnedFd, path: PathBuf) -> Self {
        Self { descriptor: Arc::new(descriptor), path }
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Whether it is this error of the system.
pub(super) fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_that_was_moved_is_still_the_same() {
        let world = tempfile::tempdir().unwrap();
        let (inside, outside) = (world.path().join("inside"), world.path().join("outside"));
        std::fs::create_dir_all(inside.join("a")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        let folder = Folder::open(&inside).unwrap();
        std::fs::rename(&inside, world.path().join("moved")).unwrap();
        symlink(&outside, &inside).unwrap();
        folder.make_folder(Path::new("b/c")).unwrap();
        assert!(world.path().join("moved/b/c").is_dir() && !outside.join("b").exists());
        assert!(Folder::open_canonical(&inside).is_err());
        let entered =
            std::process::Command::new("pwd").arg("-P").current_dir(folder.as_child_sees_it()).output().unwrap();
        assert!(String::from_utf8(entered.stdout).unwrap().trim_end().ends_with("/moved"));
    }

    #[test]
    fn links_in_the_way_are_refused_or_replaced() {
        let world = tempfile::tempdir().unwrap();
        let (inside, outside) = (world.path().join("inside"), world.path().join("outside"));
        std::fs::create_dir(&inside).unwrap();
        std::fs::create_dir_all(outside.join("c")).unwrap();
        symlink(&outside, inside.join("b")).unwrap();
        let folder = Folder::open(&inside).unwrap();
        assert!(folder.folder(Path::new("b")).is_err() && folder.make_folder(Path::new("b/c")).is_err());
        folder.clear_folder(Path::new("b/c/d")).unwrap();
        assert!(inside.join("b").symlink_metadata().unwrap().is_dir() && inside.join("b/c/d").is_dir());
        assert!(!outside.join("c/d").exists());
    }
}
