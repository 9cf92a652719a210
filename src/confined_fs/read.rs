//! Reads files that other programs may have written.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{FileType, OFlags, ResolveFlags, fstat};

use super::folder::Folder;
use super::resolve::open_beneath;

impl Folder {
    /// Opens a regular file below. Anything else is refused, and a named pipe is not waited for.
    ///
    /// # Errors
    /// The system's, or it is no regular file.
    pub fn open_file(&self, below: &Path) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        // Opening a device may do something, so it is looked at first.
        if self.kind(below)? != FileType::RegularFile {
            return Err(no_file());
        }
        let file = open_beneath(self, below, flags, ResolveFlags::empty())?;
        match FileType::from_raw_mode(fstat(&file)?.st_mode) {
            FileType::RegularFile => Ok(file.into()),
            _ => Err(no_file()),
        }
    }

    /// The content of a regular file below.
    ///
    /// # Errors
    /// As [`Self::open_file`], or it has more bytes than this.
    pub fn read(&self, below: &Path, most: u64) -> io::Result<Vec<u8>> {
        let mut file = self.open_file(below)?;
        let size = file.metadata()?.len();
        if size > most {
            return Err(too_large(most));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // It may grow while it is read.
        (&mut file).take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most { Err(too_large(most)) } else { Ok(bytes) }
    }
}

fn no_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

fn too_large(most: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read_and_only_up_to_the_limit() {
        let world = tempfile::tempdir().unwrap();
        let (folder, at) = (Folder::open(world.path()).unwrap(), |name: &str| world.path().join(name));
        std::fs::write(at("file"), "12345").unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("zero")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert_eq!(folder.read(Path::new("file"), 5).unwrap(), b"12345");
        assert_eq!(folder.read(Path::new("file"), 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        for other in ["pipe", "link", "zero", "folder", "socket", "missing", "../file", "/etc/hostname", ""] {
            assert!(folder.read(Path::new(other), 100).is_err(), "{other}");
        }
    }
}
