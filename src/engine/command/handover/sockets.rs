//! The sockets on which supervisors wait for a server, in a folder of the data folder.
//!
//! The path of a socket has at most 108 bytes (unix(7)), and a data folder may be deeper. So sockets are named by the
//! descriptor of their folder: `/proc/self/fd/7/NAME`.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};

/// The folder of the sockets.
#[derive(Debug)]
pub struct SocketFolder {
    path: PathBuf,
    folder: File,
}

impl SocketFolder {
    /// Opens the folder. Creates it, with access for its owner only, if it does not exist.
    ///
    /// # Errors
    /// The disk's.
    pub fn create(path: &Path) -> io::Result<Self> {
        crate::workspaces::private_folder(path)?;
        let opened = Self::open(path)?;
        rustix::fs::fchmod(&opened.folder, Mode::RWXU)?;
        Ok(opened)
    }

    /// Opens the folder.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let folder = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { path: path.to_owned(), folder: folder.into() })
    }

    /// Its path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A handle on the folder, for a file in it.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn handle(&self) -> io::Result<File> {
        self.folder.try_clone()
    }

    /// Listens on a socket of this name that only this user can connect to.
    ///
    /// # Errors
    /// There is one already, or the disk's.
    pub fn bind(&self, name: &str) -> io::Result<BoundSocket> {
        // Nobody may connect even for a moment.
        let umask = rustix::process::umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let bound = UnixListener::bind(self.short_path(name));
        rustix::process::umask(umask);
        let listener = bound?;
        listener.set_nonblocking(true)?;
        let found = rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let id = (found.st_dev, found.st_ino);
        Ok(BoundSocket { listener, path: self.path.join(name), id })
    }

    /// Connects to a socket.
    ///
    /// # Errors
    /// There is none, or nobody listens.
    pub fn connect(&self, name: &str) -> io::Result<UnixStream> {
        UnixStream::connect(self.short_path(name))
    }

    /// Removes all sockets but these. Called when a server starts: what is left belongs to supervisors that are gone.
    ///
    /// # Errors
    /// The disk's.
    pub fn sweep(&self, needed: &HashSet<String>) -> io::Result<()> {
        for entry in rustix::fs::Dir::read_from(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." && !needed.contains(&name) {
                match rustix::fs::unlinkat(&self.folder, entry.file_name(), AtFlags::empty()) {
                    Err(error) if error != rustix::io::Errno::NOENT => return Err(error.into()),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn short_path(&self, name: &str) -> PathBuf {
        if cfg!(target_os = "linux") {
            PathBuf::from(format!("/proc/self/fd/{}/{name}", self.folder.as_raw_fd()))
        } else {
            self.path.join(name)
        }
    }
}

/// A socket that this process listens on. Removed when dropped.
#[derive(Debug)]
pub struct BoundSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Its device and inode.
    id: (u64, u64),
}

impl BoundSocket {
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// Whether a server that knows the folder's path can find it: the folder was neither moved nor removed.
    pub fn is_reachable(&self) -> bool {
        std::fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.id)
    }
}

impl Drop for BoundSocket {
    fn drop(&mut self) {
        if self.is_reachable() {
            let _ = rustix::fs::unlink(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn socket_works_in_a_long_path_and_is_private() {
        let world = tempfile::tempdir().unwrap();
        let deep = world.path().join("d".repeat(200)).join("handover");
        let folder = SocketFolder::create(&deep).unwrap();
        let bound = folder.bind("a").unwrap();
        assert!(folder.bind("a").is_err());
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&deep), mode(&deep.join("a"))), (0o700, 0o600));
        folder.connect("a").unwrap().write_all(b"x").unwrap();
        let mut read = String::new();
        bound.listener().set_nonblocking(false).unwrap();
        bound.listener().accept().unwrap().0.read_to_string(&mut read).unwrap();
        assert_eq!(read, "x");
        drop(bound);
        assert!(!deep.join("a").exists() && folder.connect("a").is_err());
    }

    #[test]
    fn socket_of_a_moved_folder_is_not_reachable() {
        let world = tempfile::tempdir().unwrap();
        let (old, new) = (world.path().join("old"), world.path().join("new"));
        let bound = SocketFolder::create(&old).unwrap().bind("a").unwrap();
        assert!(bound.is_reachable());
        std::fs::rename(&old, &new).unwrap();
        assert!(!bound.is_reachable());
        SocketFolder::create(&old).unwrap().bind("a").unwrap();
        assert!(!bound.is_reachable());
    }

    #[test]
    fn sweep_keeps_the_sockets_that_are_needed() {
        let world = tempfile::tempdir().unwrap();
        let folder = SocketFolder::create(&world.path().join("s")).unwrap();
        let _bound = [folder.bind("a").unwrap(), folder.bind("b").unwrap()];
        folder.sweep(&HashSet::from(["b".to_owned()])).unwrap();
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["b"]);
    }
}
