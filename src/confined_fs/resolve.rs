//! Opens what is below a folder, without following any link.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// Opens a path below a folder. Neither a link on the way nor one at its end is followed, and a path with `..` is refused.
///
/// # Errors
/// The system's. A link is `ELOOP`, or `ENOTDIR` where a folder is asked for.
pub fn open_beneath(folder: impl AsFd, below: &Path, flags: OFlags, resolve: ResolveFlags) -> io::Result<OwnedFd> {
    let (flags, below) = (flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, plain(below)?);
    let strict = resolve | ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    loop {
        match openat2(&folder, below, flags, Mode::empty(), strict) {
            // A mount or a rename on the way made the answer unsure.
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Linux before 5.6, or a filter of system calls that does not know it.
            Err(Errno::NOSYS | Errno::PERM) => return walk(folder, below, flags),
            opened => return Ok(opened?),
        }
    }
}

/// Opens an absolute path that is known to have no links in it.
///
/// # Errors
/// As [`open_beneath`].
pub fn open_canonical(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let below = path.strip_prefix("/").map_err(|_| io::Error::from(Errno::INVAL))?;
    let root = openat(rustix::fs::CWD, "/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    open_beneath(root, below, flags, ResolveFlags::empty())
}

/// The same path, if it has nothing but names; `.` for an empty one.
fn plain(below: &Path) -> io::Result<&Path> {
    if below.as_os_str().is_empty() {
        return Ok(Path::new("."));
    }
    match below.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        true => Ok(below),
        false => Err(Errno::XDEV.into()),
    }
}

/// The same, one name after another.
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
    fn the_walk_refuses_the_links_that_openat2_refuses() {
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
            if let Ok(path) = plain(Path::new(path)) {
                assert_eq!(walk(&root, path, folder | OFlags::NOFOLLOW).is_ok(), opened, "{}", path.display());
            }
        }
    }
}
