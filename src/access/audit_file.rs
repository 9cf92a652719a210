//! `--audit-log FILE`: a copy of the audit log as lines of JSON, for programs that collect logs.
//!
//! The table is the source, and the file's last complete line is the cursor. So each entry is in the file once, however
//! the server ends; a line that a crash cut short is removed and written again.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::model::audit::AuditEntry;
use crate::store::{Store, StoreError};

const PAGE_ENTRIES: u32 = 500;

/// How often the table is read.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long to wait after an error of the file or the database.
const RETRY_DELAY: Duration = Duration::from_secs(10);

/// Longer than any line: the last line begins within this distance of the end.
const MAX_LINE_BYTES: u64 = 256 * 1024;

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

/// The file and its cursor.
pub struct AuditFile {
    file: File,
    /// The id of the last entry in the file.
    last_id: i64,
    store: Store,
}

impl AuditFile {
    /// Opens the file, or creates it with mode 0600.
    ///
    /// # Errors
    /// [`AuditFileError`], also if the last line is not an entry of an audit log.
    pub fn open(path: &Path, store: Store) -> Result<Self, AuditFileError> {
        let opened = || -> io::Result<Self> {
            // Without NONBLOCK, opening a pipe that has no reader would block.
            let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
            let mut options = OpenOptions::new();
            let mut file = options.create(true).read(true).append(true).mode(0o600).custom_flags(flags).open(path)?;
            if !file.metadata()?.is_file() {
                let what =
                    "it is no regular file, so its last line cannot be read; name a regular file with --audit-log";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            let last_id = read_last_id(&mut file)?;
            Ok(Self { file, last_id, store })
        };
        opened().map_err(|source| AuditFileError { path: path.to_owned(), source })
    }

    /// Copies new entries until `stop`, and once more after it.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let is_last = stop.is_cancelled();
            let wait = match self.copy().await {
                Ok(()) => POLL_INTERVAL,
                Err(error) => {
                    tracing::error!(%error, retry_in = ?RETRY_DELAY, "cannot copy the audit log to its file; the entries stay in the database");
                    // The failed write may have left an incomplete line.
                    if let Ok(last_id) = read_last_id(&mut self.file) {
                        self.last_id = last_id;
                    }
                    RETRY_DELAY
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
            let entries = self.store.audit_after(self.last_id, PAGE_ENTRIES).await?;
            let Some(newest) = entries.last().map(|entry| entry.id) else { return Ok(()) };
            let lines = lines(&entries)?;
            let mut file = self.file.try_clone()?;
            let written = tokio::task::spawn_blocking(move || file.write_all(lines.as_bytes()));
            written.await.map_err(io::Error::other)??;
            self.last_id = newest;
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

/// The id of the last complete line, or 0 if there is none. Removes what follows it.
fn read_last_id(file: &mut File) -> io::Result<i64> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(MAX_LINE_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let complete = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if complete == 0 && start > 0 {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "its last line is too long for an audit log; name another file with --audit-log",
        ));
    }
    if complete < tail.len() {
        file.set_len(start + complete as u64)?;
    }
    let Some(line) =
        tail[..complete].trim_ascii_end().rsplit(|byte| *byte == b'\n').next().filter(|line| !line.is_empty())
    else {
        return Ok(0);
    };
    #[derive(serde::Deserialize)]
    struct EntryId {
        id: i64,
    }
    let read: EntryId = serde_json::from_slice(line).map_err(|error| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("its last line is not an entry of an audit log: {error}; name another file with --audit-log"),
        )
    })?;
    Ok(read.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audit_file_continues_after_its_last_complete_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        for (text, last_id, left) in [
            ("", 0, ""),
            ("{\"id\":7}\n", 7, "{\"id\":7}\n"),
            ("{\"id\":7}\n{\"id\":8,\"ac", 7, "{\"id\":7}\n"),
            ("{\"id\":8,\"ac", 0, ""),
        ] {
            std::fs::write(&path, text).unwrap();
            let mut file = OpenOptions::new().read(true).append(true).open(&path).unwrap();
            assert_eq!(read_last_id(&mut file).unwrap(), last_id, "{text}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), left, "{text}");
        }
        std::fs::write(&path, "something else\n").unwrap();
        let mut file = OpenOptions::new().read(true).append(true).open(&path).unwrap();
        assert!(read_last_id(&mut file).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "something else\n");
    }
}
