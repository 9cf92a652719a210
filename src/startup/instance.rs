//! The server that runs on a data folder, as other programs find it: by what it has written into the file that it
//! locks.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// The file that a server locks.
pub const LOCK_FILE: &str = "server.lock";

/// A running server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    pid: i32,
    /// A name that no other start of a server has.
    pub id: String,
    /// Whether it serves requests.
    pub is_ready: bool,
}

impl Instance {
    /// This process, as a server that starts.
    pub fn starting() -> Self {
        let pid = i32::try_from(std::process::id()).unwrap_or(0);
        Self { pid, id: uuid::Uuid::now_v7().simple().to_string(), is_ready: false }
    }

    /// The same, once it serves requests.
    pub fn as_ready(&self) -> Self {
        Self { is_ready: true, ..self.clone() }
    }

    /// Writes it into the locked file.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, file: &File) -> io::Result<()> {
        let text = format!("{} {}{}\n", self.pid, self.id, if self.is_ready { " ready" } else { "" });
        file.write_all_at(text.as_bytes(), 0)?;
        file.set_len(text.len() as u64)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (pid, id) = (words.next()?.parse().ok()?, words.next()?.to_owned());
        Some(Self { pid, id, is_ready: words.next() == Some("ready") })
    }

    /// The server that runs on this data folder, if one does.
    ///
    /// # Errors
    /// The file cannot be read, or was written by an earlier version.
    pub fn find(data_dir: &Path) -> io::Result<Option<Self>> {
        let mut file = match File::open(data_dir.join(LOCK_FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        match file.try_lock_shared() {
            Ok(()) => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let earlier = || io::Error::other("a server of an earlier version uses it; stop it with SIGTERM");
        Self::parse(&text).map(Some).ok_or_else(earlier)
    }

    /// Asks it to stop and to end its commands.
    ///
    /// # Errors
    /// It belongs to another user, or has ended.
    pub fn stop(&self) -> io::Result<()> {
        self.signal(Signal::INT)
    }

    /// Asks it to start again, while its commands go on.
    ///
    /// # Errors
    /// It belongs to another user, or has ended.
    pub fn restart(&self) -> io::Result<()> {
        self.signal(Signal::USR2)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = Pid::from_raw(self.pid).ok_or(io::ErrorKind::InvalidData)?;
        Ok(kill_process(pid, signal)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_is_found_while_its_file_is_locked() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Instance::find(folder.path()).unwrap(), None);
        let file = File::create(folder.path().join(LOCK_FILE)).unwrap();
        assert_eq!(Instance::find(folder.path()).unwrap(), None);
        file.lock().unwrap();
        assert!(Instance::find(folder.path()).is_err());
        let mut own = Instance { is_ready: true, ..Instance::starting() };
        own.write(&file).unwrap();
        assert_eq!(Instance::find(folder.path()).unwrap(), Some(own.clone()));
        // A shorter text leaves nothing of the longer one.
        own.is_ready = false;
        own.write(&file).unwrap();
        assert_eq!(Instance::find(folder.path()).unwrap(), Some(own));
        drop(file);
        assert_eq!(Instance::find(folder.path()).unwrap(), None);
    }
}
