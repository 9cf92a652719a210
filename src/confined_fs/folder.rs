//! A handle of a folder, and operations relative to it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, fstat, mkdirat, open, openat, renameat, statat,
    unlinkat,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::remove;
use super::resolve::{FOLDER_HANDLE, is_errno, open_beneath, open_canonical};

/// Numbers the temporary files of this process.
static NEXT_TEMPORARY: AtomicU64 = AtomicU64::new(0);

/// Identifies a file or folder independently of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    device: u64,
    #[serde(rename = "number")]
    inode: u64,
}

/// The owner of a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub user: u32,
    pub group: u32,
}

/// A folder that is held open. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Folder {
    descriptor: Arc<OwnedFd>,
    path: PathBuf,
}

impl Folder {
    /// Opens a folder by a trusted path: one of the operator, or Runtrail's own. Links are followed.
    ///
    /// # Errors
    /// I/O errors.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::new(open(path, FOLDER_HANDLE, Mode::empty())?, path.to_owned()))
    }

    /// Opens a folder by a canonical path.
    ///
    /// # Errors
    /// I/O errors, or a part of the path has become a link.
    pub fn open_canonical(path: &Path) -> io::Result<Self> {
        Ok(Self::new(open_canonical(path, FOLDER_HANDLE)?, path.to_owned()))
    }

    /// The working directory of this process.
    ///
    /// # Errors
    /// I/O errors.
    pub fn current() -> io::Result<Self> {
        let path = std::env::current_dir()?;
        Ok(Self::new(open(".", FOLDER_HANDLE, Mode::empty())?, path))
    }

    /// Opens a folder below this one without following links. An empty path is the folder itself.
    ///
    /// # Errors
    /// I/O errors.
    pub fn folder(&self, below: &Path) -> io::Result<Self> {
        let opened = open_beneath(self, below, FOLDER_HANDLE, ResolveFlags::empty())?;
        Ok(Self::new(opened, self.join(below)))
    }

    /// Opens a folder below this one, and creates it if it does not exist.
    ///
    /// # Errors
    /// I/O errors, or something other than a folder is at the path.
    pub fn make_folder(&self, below: &Path) -> io::Result<Self> {
        self.open_or_create(below, false)
    }

    /// Opens a folder below this one, and creates it if it does not exist. Links and files in its path are replaced by
    /// folders.
    ///
    /// # Errors
    /// I/O errors.
    pub fn clear_folder(&self, below: &Path) -> io::Result<Self> {
        self.open_or_create(below, true)
    }

    fn open_or_create(&self, below: &Path, replaces: bool) -> io::Result<Self> {
        let mut at = self.clone();
        for name in below.iter() {
            let name = Path::new(name);
            at = match at.folder(name) {
                Ok(folder) => folder,
                Err(error) => {
                    let is_other = [Errno::NOTDIR, Errno::LOOP].into_iter().any(|errno| is_errno(&error, errno));
                    if replaces && is_other {
                        unlinkat(&at, name, AtFlags::empty())?;
                    } else if !is_errno(&error, Errno::NOENT) {
                        return Err(error);
                    }
                    match mkdirat(&at, name, Mode::RWXU | Mode::RWXG | Mode::RWXO) {
                        // Another process may have created it.
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
    /// I/O errors.
    pub fn remove_empty(&self, below: &Path) -> io::Result<()> {
        let (parent, name) = self.parent_of(below)?;
        Ok(unlinkat(&parent, name, AtFlags::REMOVEDIR)?)
    }

    /// Opens a regular file below this folder. Never waits for a named pipe.
    ///
    /// # Errors
    /// I/O errors, or it is not a regular file.
    pub fn open_file(&self, below: &Path) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        // Opening a device may have side effects, so its type is checked first.
        if self.kind(below)? != FileType::RegularFile {
            return Err(not_a_file());
        }
        let file = open_beneath(self, below, flags, ResolveFlags::empty())?;
        match FileType::from_raw_mode(fstat(&file)?.st_mode) {
            FileType::RegularFile => Ok(file.into()),
            _ => Err(not_a_file()),
        }
    }

    /// The content of a regular file below this folder.
    ///
    /// # Errors
    /// Those of [`Self::open_file`], or it has more than `max_bytes`.
    pub fn read(&self, below: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
        let mut file = self.open_file(below)?;
        let size = file.metadata()?.len();
        if size > max_bytes {
            return Err(too_large(max_bytes));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // The file may grow while it is read.
        (&mut file).take(max_bytes + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max_bytes { Err(too_large(max_bytes)) } else { Ok(bytes) }
    }

    /// Writes a file below this folder, atomically. Whatever has its name is replaced: a link is not followed, a folder
    /// is removed. `mode` has the permissions, which the umask restricts.
    ///
    /// # Errors
    /// I/O errors.
    pub fn write(&self, below: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        self.write_with(below, mode, |file| file.write_all(bytes))
    }

    /// Like [`Self::write`], with the content that `fill` writes.
    ///
    /// # Errors
    /// I/O errors, or that of `fill`.
    pub fn write_with(
        &self,
        below: &Path,
        mode: u32,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let (parent, name) = self.parent_of(below)?;
        let number = NEXT_TEMPORARY.fetch_add(1, Ordering::Relaxed);
        let temporary = OsString::from(format!(".runtrail-{}-{number}.new", std::process::id()));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // A file of an earlier process with the same id.
        let _ = unlinkat(&parent, &temporary, AtFlags::empty());
        let mut file = File::from(openat(&parent, &temporary, flags, Mode::from_raw_mode(mode))?);
        let written = fill(&mut file).and_then(|()| {
            let rename = || renameat(&parent, &temporary, &parent, name).map_err(io::Error::from);
            match rename() {
                Err(error)
                    if [Errno::ISDIR, Errno::NOTEMPTY, Errno::EXIST].iter().any(|errno| is_errno(&error, *errno)) =>
                {
                    parent.remove_tree(Path::new(name))?;
                    rename()
                }
                renamed => renamed,
            }
        });
        if written.is_err() {
            let _ = unlinkat(&parent, &temporary, AtFlags::empty());
        }
        written
    }

    /// Tests whether so many bytes can be written now: writes a new file and removes it.
    ///
    /// # Errors
    /// I/O errors.
    pub fn try_to_write(&self, name: &Path, bytes: usize) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let _ = unlinkat(self, name, AtFlags::empty());
        let mut file = File::from(openat(self, name, flags, Mode::RUSR | Mode::WUSR)?);
        let written = file.write_all(&vec![0; bytes]);
        let _ = unlinkat(self, name, AtFlags::empty());
        written
    }

    /// Removes whatever has this name, with everything in it. Nothing there is no error. What can be removed is
    /// removed, even if something else cannot.
    ///
    /// # Errors
    /// The first I/O error, or a file system is mounted inside.
    pub fn remove_tree(&self, below: &Path) -> io::Result<()> {
        match self.parent_of(below) {
            Err(error) if is_errno(&error, Errno::NOENT) => Ok(()),
            Err(error) => Err(error),
            Ok((parent, name)) => remove::remove_tree(parent, name),
        }
    }

    /// The names in this folder, in no order.
    ///
    /// # Errors
    /// I/O errors.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        remove::names(self)
    }

    /// Changes the owner of the folder itself. Requires root.
    ///
    /// # Errors
    /// I/O errors.
    pub fn give_to(&self, owner: Owner) -> io::Result<()> {
        let (user, group) = (Uid::from_raw(owner.user), Gid::from_raw(owner.group));
        Ok(chownat(self, "", Some(user), Some(group), AtFlags::EMPTY_PATH)?)
    }

    ///
    /// # Errors
    /// I/O errors.
    pub fn identity(&self) -> io::Result<FileIdentity> {
        let metadata = fstat(self)?;
        Ok(FileIdentity { device: metadata.st_dev, inode: metadata.st_ino })
    }

    /// Whether there is a regular file, and not a link, at a path below.
    pub fn has_file(&self, below: &Path) -> bool {
        self.kind(below).is_ok_and(|kind| kind == FileType::RegularFile)
    }

    /// The type of what is at a path below. Links are not followed.
    fn kind(&self, below: &Path) -> io::Result<FileType> {
        let (parent, name) = self.parent_of(below)?;
        let metadata = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(FileType::from_raw_mode(metadata.st_mode))
    }

    /// The path by which it was opened: for messages, and for programs that need a path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of something below, as of when this folder was opened.
    pub fn join(&self, below: &Path) -> PathBuf {
        if below.as_os_str().is_empty() { self.path.clone() } else { self.path.join(below) }
    }

    /// A path by which a child process enters the folder between fork and exec. The handle must stay open until then.
    pub fn as_child_sees_it(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.descriptor.as_raw_fd()))
    }

    /// The parent folder and the name of something below.
    fn parent_of<'a>(&self, below: &'a Path) -> io::Result<(Self, &'a OsStr)> {
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

fn not_a_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

fn too_large(max_bytes: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {max_bytes} bytes"))
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
