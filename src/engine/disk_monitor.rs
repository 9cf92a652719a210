//! Measures how much disk space an attempt's folders take while it runs, if its pipeline limits that.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::meter::Meter;

/// The least time between two scans. A slow scan is followed by a longer pause, so that scans take a twentieth of the
/// time at most.
const MIN_SCAN_INTERVAL: Duration = Duration::from_secs(1);

/// Scans until it is dropped.
pub(super) struct DiskMonitor(JoinHandle<()>);

impl DiskMonitor {
    /// Starts to report the size of these folders. A scan stops as soon as it has counted more than `most` bytes.
    pub(super) fn start(folders: Vec<PathBuf>, most: u64, meter: Arc<Meter>) -> Self {
        Self(tokio::spawn(async move {
            while meter.limit().is_none() {
                let (begun, scanned) = (Instant::now(), folders.clone());
                let taken = tokio::task::spawn_blocking(move || size_of(&scanned, most)).await;
                meter.report_disk_use(taken.unwrap_or_default());
                tokio::time::sleep(MIN_SCAN_INTERVAL.max(begun.elapsed() * 20)).await;
            }
        }))
    }
}

impl Drop for DiskMonitor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How many bytes these folders take on the disk, with everything below them. Counting stops soon after `most`. Links
/// are not followed; files that cannot be read, or disappear during the scan, do not count.
fn size_of(folders: &[PathBuf], most: u64) -> u64 {
    let (mut size, mut folders) = (0, folders.to_vec());
    while let Some(folder) = folders.pop() {
        size += scan_folder(&folder, &mut folders, most.saturating_sub(size)).unwrap_or_default();
        if size > most {
            break;
        }
    }
    size
}

/// The size of one folder's entries. Its subfolders are added to `later`.
#[expect(
    clippy::disallowed_methods,
    reason = "only sizes are read; what takes a folder's place meanwhile can only change them"
)]
fn scan_folder(folder: &Path, later: &mut Vec<PathBuf>, most: u64) -> io::Result<u64> {
    let mut size = 0;
    if !std::fs::symlink_metadata(folder)?.is_dir() {
        return Ok(0);
    }
    for entry in std::fs::read_dir(folder)? {
        let Ok(entry) = entry else { continue };
        // For a link: the metadata of the link itself.
        let Ok(found) = entry.metadata() else { continue };
        size += found.blocks() * 512;
        if found.is_dir() {
            later.push(entry.path());
        }
        if size > most {
            break;
        }
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_size_counts_everything_but_link_targets() {
        let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        std::fs::create_dir_all(one.path().join("a/b")).unwrap();
        for file in [one.path().join("x"), one.path().join("a/b/y"), other.path().join("z")] {
            std::fs::write(file, vec![1; 1 << 20]).unwrap();
        }
        std::os::unix::fs::symlink(other.path(), one.path().join("link")).unwrap();
        let size = size_of(&[one.path().to_owned()], u64::MAX);
        assert!((2 << 20..3 << 20).contains(&size), "{size}");
        let both = size_of(&[one.path().to_owned(), other.path().to_owned()], u64::MAX);
        assert!((3 << 20..4 << 20).contains(&both), "{both}");
        assert!(size_of(&[one.path().to_owned()], 1 << 20) > 1 << 20);
        assert_eq!(size_of(&[one.path().join("link"), one.path().join("nothing")], 0), 0);
    }
}
