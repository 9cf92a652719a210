//! Removes trees that other programs have made.
//!
//! Each entry is removed relative to a handle of its folder, so no link is followed and no rename can redirect the
//! removal. The subfolders of a subfolder are moved up to the top before it is removed, so a tree of any depth takes
//! three descriptors and no recursion. Mounted file systems are not entered.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags, chmod, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::resolve::{FOLDER_HANDLE, is_errno, open_beneath};

/// The prefix of folders that were moved up.
const MOVED_PREFIX: &str = ".runtrail-moved-";

/// How often the top is listed again, in case something appears in it.
const MAX_PASSES: usize = 5;

/// How many names are tried for a folder that is moved up.
const MAX_NAMES: usize = 100;

/// Removes what has this name in the folder `parent`, with everything in it. What can be removed is removed, even if
/// something else cannot.
///
/// # Errors
/// The first I/O error, or a file system is mounted inside.
pub fn remove_tree(parent: impl AsFd, name: &OsStr) -> io::Result<()> {
    if remove_one(&parent, name)? {
        return Ok(());
    }
    let top = enter(&parent, name)?;
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    let mut removal = Removal { top, next: u64::from(seed), pending: Vec::new(), first_error: None };
    removal.empty()?;
    match unlinkat(&parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(with_name(name, error.into())),
    }
}

/// A removal in progress.
struct Removal {
    top: OwnedFd,
    /// The number of the next folder that is moved up.
    next: u64,
    /// The names in the top that are still to be removed.
    pending: Vec<OsString>,
    first_error: Option<io::Error>,
}

impl Removal {
    /// Empties the top.
    fn empty(&mut self) -> io::Result<()> {
        for _ in 0..MAX_PASSES {
            self.pending = names(&self.top)?;
            if self.pending.is_empty() {
                return Ok(());
            }
            self.first_error = None;
            while let Some(name) = self.pending.pop() {
                if let Err(error) = self.remove(&name) {
                    self.first_error.get_or_insert(with_name(&name, error));
                }
            }
        }
        self.first_error.take().map_or(Ok(()), Err)
    }

    /// Removes one entry of the top. The subfolders of a folder are moved up, and are due then.
    fn remove(&mut self, name: &OsStr) -> io::Result<()> {
        if remove_one(&self.top, name)? {
            return Ok(());
        }
        let folder = enter(&self.top, name)?;
        for inner in names(&folder)? {
            match remove_one(&folder, &inner) {
                Ok(true) => {}
                Ok(false) => {
                    if let Err(error) = self.move_up(&folder, &inner) {
                        self.first_error.get_or_insert(with_name(&inner, error));
                    }
                }
                Err(error) => drop(self.first_error.get_or_insert(with_name(&inner, error))),
            }
        }
        Ok(unlinkat(&self.top, name, AtFlags::REMOVEDIR)?)
    }

    fn move_up(&mut self, folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
        // Its parent changes, which is a change of itself.
        drop(enter(folder, name)?);
        for _ in 0..MAX_NAMES {
            self.next = self.next.wrapping_add(1);
            let up = OsString::from(format!("{MOVED_PREFIX}{}", self.next));
            match renameat(folder, name, &self.top, &up) {
                // Somebody has such a name.
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    self.pending.push(up);
                    return Ok(());
                }
            }
        }
        Err(Errno::EXIST.into())
    }
}

/// Removes a file or an empty folder. False if it is a folder with something in it.
fn remove_one(folder: impl AsFd, name: &OsStr) -> io::Result<bool> {
    let refused = match unlinkat(&folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(true),
        // Which error means that it is a folder depends on the file system.
        Err(error @ (Errno::ISDIR | Errno::PERM | Errno::ACCESS)) => error,
        Err(error) => return Err(error.into()),
    };
    match unlinkat(&folder, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(Errno::NOTDIR) => Err(refused.into()),
        Err(Errno::BUSY) => Err(mounted()),
        Err(error) => Err(error.into()),
    }
}

/// Opens a folder to empty it, and adds the permissions for that.
fn enter(folder: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let held = match open_beneath(&folder, Path::new(name), FOLDER_HANDLE, ResolveFlags::NO_XDEV) {
        Err(error) if is_errno(&error, Errno::XDEV) => return Err(mounted()),
        held => held?,
    };
    let metadata = fstat(&held)?;
    if metadata.st_dev != fstat(&folder)?.st_dev {
        return Err(mounted());
    }
    if metadata.st_mode & 0o700 != 0o700 {
        // By the handle, since the name may refer to something else by now. If it fails, the next line reports it.
        let _ = chmod(format!("/proc/self/fd/{}", held.as_raw_fd()), Mode::RWXU);
    }
    Ok(openat(&held, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The names in a folder, in no order.
///
/// # Errors
/// I/O errors.
pub fn names(folder: impl AsFd) -> io::Result<Vec<OsString>> {
    let opened = openat(folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::new(opened)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

fn mounted() -> io::Error {
    io::Error::new(io::ErrorKind::ResourceBusy, "a file system is mounted there; unmount it")
}

fn with_name(name: &OsStr, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", name.to_string_lossy()))
}

#[cfg(test)]
#[path = "remove_tests.rs"]
mod tests;
