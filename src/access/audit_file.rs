//! `--audit-log FILE`: the audit log as lines of JSON, for programs that collect logs.
//!
//! The table is the source, and the file a reader of it: its last line says how far it has come. So a line is in the file once, however
//! the server ends; one that a crash has cut is taken away and written again.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::model::audit::AuditEntry;
use crate::store::{Store, StoreError};

/// Lines that are read at a time.
const PAGE: u32 = 500;

/// How often it is looked for new lines.
const LOOK: Duration = Duration::from_secs(1);

/// How long to wait after the file or the database did not do as asked.
const RETRY: Duration = Duration::from_secs(10);

/// How far from the end the last line is looked for, in bytes: further than any line is long.
const TAIL: u64 = 256 * 1024;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the audit log {}: {source}", .path.display())]
pub struct AuditFileError {
    path: PathBuf,
    source: io::Error,
}

#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    File(#[from] io::Error),
}

/// The file, and how far it has come.
pub struct AuditFile {
    file: File,
    last: i64,
    store: Store,
}

impl AuditFile {
    /// Opens the file, which is made if it is not there: only its owner can read it then.
    ///
    /// # Errors
    /// [`AuditFileError`], also if its last line is no line of an audit log.
    pub fn open(path: &Path, store: Store) -> Result<Self, AuditFileError> {
        let opened = || -> io::Result<Self> {
            // A pipe without a reader would keep the server from starting.
            let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
            let mut options = OpenOptions::new();
            let mut file = options.create(true).read(true).append(true).mode(0o600).custom_flags(flags).open(path)?;
            if !file.metadata()?.is_file() {
                let what = "it is no regular file, and where it ends could not be known";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            let last = last_line(&mut file)?;
            Ok(Self { file, last, store })
        };
        opened().map_err(|source| AuditFileError { path: path.to_owned(), source })
    }

    /// Writes what is new until the signal comes, and once more then.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let is_last = stop.is_cancelled();
            let wait = match self.copy().await {
                Ok(()) => LOOK,
                Err(error) => {
                    tracing::error!(%error, "the audit log's file is behind; trying again in a moment");
                    // A full disk may have cut a line.
                    if let Ok(last) = last_line(&mut self.file) {
                        self.last = last;
                    }
                    RETRY
                }
            };
            if is_last {
                return;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn copy(&mut self) -> Result<(), CopyError> {
        loop {
            let entries = self.store.audit_after(self.last, PAGE).await?;
            let Some(newest) = entries.last().map(|entry| entry.id) else { return Ok(()) };
            let lines = lines(&entries)?;
            let mut file = self.file.try_clone()?;
            let written = tokio::task::spawn_blocking(move || file.write_all(lines.as_bytes()));
            written.await.map_err(io::Error::other)??;
            self.last = newest;
        }
    }
}

fn lines(entries: &[AuditEntry]) -> io::Result<String> {
    let mut text = String::new();
    for entry in entries {
        text.push_str(&serde_json::to_string(entry)?);
        text.push('\n');
    }
    Ok(text)
}

/// The number of the last whole line, 0 if there is none. What comes after it is cut off.
fn last_line(file: &mut File) -> io::Result<i64> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole == 0 && start > 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "its last line is too long to be of an audit log"));
    }
    if whole < tail.len() {
        file.set_len(start + whole as u64)?;
    }
    let Some(line) =
        tail[..whole].trim_ascii_end().rsplit(|byte| *byte == b'\n').next().filter(|line| !line.is_empty())
    else {
        return Ok(0);
    };
    #[derive(serde::Deserialize)]
    struct Line {
        id: i64,
    }
    let read: Line = serde_json::from_slice(line).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("its last line is not one of an audit log: {error}"))
    })?;
    Ok(read.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_goes_on_after_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        for (text, last, left) in [
            ("", 0, ""),
            ("{\"id\":7}\n", 7, "{\"id\":7}\n"),
            ("{\"id\":7}\n{\"id\":8,\"ac", 7, "{\"id\":7}\n"),
            ("{\"id\":8,\"ac", 0, ""),
        ] {
            std::fs::write(&path, text).unwrap();
            let mut file = OpenOptions::new().read(true).append(true).open(&path).unwrap();
            assert_eq!(last_line(&mut file).unwrap(), last, "{text}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), left, "{text}");
        }
        std::fs::write(&path, "something else\n").unwrap();
        let mut file = OpenOptions::new().read(true).append(true).open(&path).unwrap();
        assert!(last_line(&mut file).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "something else\n");
    }
}
