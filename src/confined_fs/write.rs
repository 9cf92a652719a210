//! Writes files into folders that other programs can write to.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::folder::{Folder, is};

/// Numbers the temporary files of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

impl Folder {
    /// Writes a file below, in one step: its content is complete, or what was there is. Whatever has that name is replaced: a link is
    /// not followed, a folder is removed. `mode` has the permissions, which the umask restricts.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, below: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        self.write_with(below, mode, |file| file.write_all(bytes))
    }

    /// The same, with what `fill` writes.
    ///
    /// # Errors
    /// The system's, or that of `fill`.
    pub fn write_with(
        &self,
        below: &Path,
        mode: u32,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let (parent, name) = self.parent_of(below)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let temporary = OsString::from(format!(".runtrail-{}-{number}.new", std::process::id()));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // One of an earlier process of that number.
        let _ = unlinkat(&parent, &temporary, AtFlags::empty());
        let mut file = File::from(openat(&parent, &temporary, flags, Mode::from_raw_mode(mode))?);
        let written = fill(&mut file).and_then(|()| {
            let rename = || renameat(&parent, &temporary, &parent, name).map_err(io::Error::from);
            match rename() {
                Err(error) if [Errno::ISDIR, Errno::NOTEMPTY, Errno::EXIST].iter().any(|errno| is(&error, *errno)) => {
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

    /// Writes a new file below and removes it again: that this is possible now, with so many bytes.
    ///
    /// # Errors
    /// The system's.
    pub fn try_to_write(&self, name: &Path, bytes: usize) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let _ = unlinkat(self, name, AtFlags::empty());
        let mut file = File::from(openat(self, name, flags, Mode::RUSR | Mode::WUSR)?);
        let written = file.write_all(&vec![0; bytes]);
        let _ = unlinkat(self, name, AtFlags::empty());
        written
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn whatever_has_the_name_is_replaced_and_nothing_is_written_through_it() {
        let world = tempfile::tempdir().unwrap();
        let (folder, at) = (Folder::open(world.path()).unwrap(), |name: &str| world.path().join(name));
        std::fs::write(at("outside"), "mine").unwrap();
        symlink("outside", at("link")).unwrap();
        symlink("missing", at("dangling")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::fs::create_dir_all(at("folder/full")).unwrap();
        for name in ["link", "dangling", "pipe", "folder", "new"] {
            folder.write(Path::new(name), b"text", 0o644).unwrap();
            assert!(at(name).symlink_metadata().unwrap().is_file(), "{name}");
            assert_eq!(std::fs::read(at(name)).unwrap(), b"text");
        }
        assert_eq!(std::fs::read(at("outside")).unwrap(), b"mine");
        assert!(!at("missing").exists());
        assert!(folder.write(Path::new("../x"), b"", 0o600).is_err());
        let failed = folder.write_with(Path::new("new"), 0o644, |_| Err(io::Error::other("full")));
        assert_eq!(
            (failed.unwrap_err().to_string(), std::fs::read(at("new")).unwrap()),
            ("full".into(), b"text".into())
        );
        assert_eq!(std::fs::read_dir(world.path()).unwrap().count(), 6);
    }
}
