//! Opens paths below a folder without following links.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// The flags of a folder's handle: the folder can be entered and searched whatever its read permission.
pub const FOLDER_HANDLE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Whether this is a certain error of the system.
pub fn is_errno(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

/// Opens a path below a folder. No link in the path is followed, and `..` is refused.
///
/// # Errors
/// I/O errors. A link is `ELOOP`, or `ENOTDIR` if a folder is required.
pub fn open_beneath(folder: impl AsFd, below: &Path, flags: OFlags, resolve: ResolveFlags) -> io::Result<OwnedFd> {
    let (flags, below) = (flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, only_names(below)?);
    let strict = resolve | ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    loop {
        match openat2(&folder, below, flags, Mode::empty(), strict) {
            // A concurrent mount or rename; the kernel asks to retry.
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Linux before 5.6, or a seccomp filter that does not know the system call.
            Err(Errno::NOSYS | Errno::PERM) => return walk(folder, below, flags),
            opened => return Ok(opened?),
        }
    }
}

/// Opens a canonical path.
///
/// # Errors
/// Those of [`open_beneath`].
pub fn open_canonical(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let below = path.strip_prefix("/").map_err(|_| io::Error::from(Errno::INVAL))?;
    let root = openat(rustix::fs::CWD, "/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    open_beneath(root, below, flags, ResolveFlags::empty())
}

/// The path, if it only has names; `.` for an empty one.
fn only_names(below: &Path) -> io::Result<&Path> {
    if below.as_os_str().is_empty() {
        return Ok(Path::new("."));
    }
    match below.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        true => Ok(below),
        false => Err(Errno::XDEV.into()),
    }
}

/// Like [`open_beneath`], without `openat2`: opens one name after another.
fn walk(folder: impl AsFd, below: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let mut names = below.components().map(Component::as_os_str).peekable();
    let mut at = folder.as_fd().try_clone_to_owned()?;
    while let Some(name) = names.next() {
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        at = openat(&at, name, if names.peek().is_some() { step } else { flags }, Mode::empty())?;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walk_refuses_the_same_links_as_openat2() {
        let world = tempfile::tempdir().unwrap();
        let (inside, outside) = (world.path().join("inside"), world.path().join("outside"));
        std::fs::create_dir_all(inside.join("a/b")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("a/link")).unwrap();
        std::os::unix::fs::symlink("b", inside.join("a/near")).unwrap();
        let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(rustix::fs::CWD, &inside, folder, Mode::empty()).unwrap();
        for path in ["a", "a/b", ".", "a/link", "a/near", "a/near/..", "..", "/", "a/../..", "missing"] {
            let opened = open_beneath(&root, Path::new(path), folder, ResolveFlags::empty()).is_ok();
            assert_eq!(opened, ["a", "a/b", "."].contains(&path), "{path}");
            if let Ok(path) = only_names(Path::new(path)) {
                assert_eq!(walk(&root, path, folder | OFlags::NOFOLLOW).is_ok(), opened, "{}", path.display());
            }
        }
    }
}
