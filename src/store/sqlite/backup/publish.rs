//! A file that is written under another name first, and gets its own when it is complete.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// A file that is not complete yet. Removed when dropped.
pub struct Draft {
    path: PathBuf,
    target: PathBuf,
}

impl Draft {
    /// Creates an empty file beside `target`, with mode 0600.
    pub fn create(target: &Path) -> io::Result<Self> {
        let name = target.file_name().ok_or_else(no_file)?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.partial", std::process::id()));
        let path = target.with_file_name(hidden);
        File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { path, target: target.to_owned() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path for a statement of SQL.
    pub fn sql_name(&self) -> io::Result<&str> {
        self.path.to_str().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "its name is not valid UTF-8"))
    }

    /// Waits until the file is on the disk, and gives it its name. Replaces an existing file if `replace` says so.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if there is one and it may not be replaced; or the system's. The draft is removed.
    pub fn publish(self, replace: bool) -> io::Result<()> {
        File::open(&self.path)?.sync_all()?;
        if replace {
            std::fs::rename(&self.path, &self.target)?;
        } else {
            rename_to_new(&self.path, &self.target)?;
        }
        sync_folder(&self.target)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Not there after it was published. SQLite may have left a journal beside one that was not.
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(beside(&self.path, "-journal"));
    }
}

/// The path with its folder in canonical form. The file need not exist.
pub fn resolve(file: &Path) -> io::Result<PathBuf> {
    let name = file.file_name().ok_or_else(no_file)?;
    if file.is_dir() {
        return Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder; name a file in it"));
    }
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok(folder.canonicalize()?.join(name))
}

/// Whether a canonical path is the database's, or one of the files that SQLite and the server keep beside it.
pub fn belongs_to(path: &Path, database: &Path) -> bool {
    let is_database = path.canonicalize().is_ok_and(|path| path == database);
    is_database || ["", "-wal", "-shm", "-journal", ".lock", ".reserve"].iter().any(|end| path == beside(database, end))
}

/// The file whose name is that of `path` with this end.
pub fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Waits until the names in a file's folder are on the disk.
pub fn sync_folder(file: &Path) -> io::Result<()> {
    File::open(file.parent().unwrap_or(Path::new("/")))?.sync_all()
}

fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems cannot check and rename in one step.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if to.exists() => Err(ErrorKind::AlreadyExists.into()),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => std::fs::rename(from, to),
        renamed => Ok(renamed?),
    }
}

fn no_file() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "it is no name of a file")
}
