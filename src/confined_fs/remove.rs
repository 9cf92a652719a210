//! Removes trees that other programs have made.
//!
//! Nothing is done by a path: each entry is removed relative to the folder that holds it, so no link is followed and no rename
//! leads elsewhere. A subfolder is emptied by moving its own subfolders up to the top, so a tree of any depth takes three
//! descriptors and no recursion. Mounted file systems are not entered.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags, chmod, fstat, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::folder::{Folder, HELD, is};
use super::resolve::open_beneath;

/// How folders are called that have been moved up.
const MOVED: &str = ".runtrail-moved-";

/// How often the top is looked through, if something appears in it meanwhile.
const PASSES: usize = 5;

/// How many names are tried for a folder that is moved up.
const NAMES: usize = 100;

impl Folder {
    /// Removes what has this name here, and everything in it. Nothing there is as good. What can be removed is, even if something
    /// else cannot.
    ///
    /// # Errors
    /// The first one: the system's, or a file system is mounted in it.
    pub fn remove_tree(&self, below: &Path) -> io::Result<()> {
        let (parent, name) = match self.parent_of(below) {
            Err(error) if is(&error, Errno::NOENT) => return Ok(()),
            found => found?,
        };
        if remove_one(&parent, name)? {
            return Ok(());
        }
        let top = enter(&parent, name)?;
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
        let mut removal = Removal { top, next: u64::from(seed), due: Vec::new(), failed: None };
        removal.empty()?;
        match unlinkat(&parent, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(named(name, error.into())),
        }
    }

    /// The names in this folder, in no order.
    ///
    /// # Errors
    /// The system's.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        names(self)
    }
}

/// The tree that is removed.
struct Removal {
    top: OwnedFd,
    /// The number of the next folder that is moved up.
    next: u64,
    /// What is in the top and still to be removed.
    due: Vec<OsString>,
    failed: Option<io::Error>,
}

impl Removal {
    /// Empties the top.
    fn empty(&mut self) -> io::Result<()> {
        for _ in 0..PASSES {
            self.due = names(&self.top)?;
            if self.due.is_empty() {
                return Ok(());
            }
            self.failed = None;
            while let Some(name) = self.due.pop() {
                if let Err(error) = self.remove(&name) {
                    self.failed.get_or_insert(named(&name, error));
                }
            }
        }
        self.failed.take().map_or(Ok(()), Err)
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
                        self.failed.get_or_insert(named(&inner, error));
                    }
                }
                Err(error) => drop(self.failed.get_or_insert(named(&inner, error))),
            }
        }
        Ok(unlinkat(&self.top, name, AtFlags::REMOVEDIR)?)
    }

    fn move_up(&mut self, folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
        // Its parent changes, which is a change of itself.
        drop(enter(folder, name)?);
        for _ in 0..NAMES {
            self.next = self.next.wrapping_add(1);
            let up = OsString::from(format!("{MOVED}{}", self.next));
            match renameat(folder, name, &self.top, &up) {
                // Somebody has such a name.
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    self.due.push(up);
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
        // Which of them says that it is a folder depends on the file system.
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

/// Opens a folder to empty it, and gives this process the right to.
fn enter(folder: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let held = match open_beneath(&folder, Path::new(name), HELD, ResolveFlags::NO_XDEV) {
        Err(error) if is(&error, Errno::XDEV) => return Err(mounted()),
        held => held?,
    };
    let facts = fstat(&held)?;
    if facts.st_dev != fstat(&folder)?.st_dev {
        return Err(mounted());
    }
    if facts.st_mode & 0o700 != 0o700 {
        // By the descriptor: the name may be another one's by now. If it may not be done, the next line says so.
        let _ = chmod(format!("/proc/self/fd/{}", held.as_raw_fd()), Mode::RWXU);
    }
    Ok(openat(&held, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn names(folder: impl AsFd) -> io::Result<Vec<OsString>> {
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

fn named(name: &OsStr, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", name.to_string_lossy()))
}

#[cfg(test)]
#[path = "remove_tests.rs"]
mod tests;
