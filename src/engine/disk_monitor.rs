//! MountKind much an attempt's folders take on the disk, looked at now and then while it runs: only if its pipeline limits that.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::meter::Meter;

/// The least time between two looks. A slow look is followed by a longer rest: it takes a twentieth of the time at most.
const REST: Duration = Duration::from_secs(1);

/// Looks until it is dropped.
pub(super) struct DiskMonitor(JoinHandle<()>);

impl DiskMonitor {
    /// Tells the meter what these folders take, `most` being of interest.
    pub(super) fn start(folders: Vec<PathBuf>, most: u64, meter: Arc<Meter>) -> Self {
        Self(tokio::spawn(async move {
            while meter.limit().is_none() {
                let (begun, looked) = (Instant::now(), folders.clone());
                let taken = tokio::task::spawn_blocking(move || size_of(&looked, most)).await;
                meter.occupy(taken.unwrap_or_default());
                tokio::time::sleep(REST.max(begun.elapsed() * 20)).await;
            }
        }))
    }
}

impl Drop for DiskMonitor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// MountKind many bytes these folders take on the disk, with all below them; no more than are of interest are counted. Links are not
/// followed, and what cannot be read, or goes meanwhile, counts nothing.
fn size_of(folders: &[PathBuf], most: u64) -> u64 {
    let (mut size, mut folders) = (0, folders.to_vec());
    while let Some(folder) = folders.pop() {
        size += add(&folder, &mut folders, most.saturating_sub(size)).unwrap_or_default();
        if size > most {
            break;
        }
    }
    size
}

/// What is in one folder; the folders in it are put down for later.
#[expect(
    clippy::disallowed_methods,
    reason = "only sizes are read; what takes a folder's place meanwhile can only change them"
)]
fn add(folder: &Path, later: &mut Vec<PathBuf>, most: u64) -> io::Result<u64> {
    let mut size = 0;
    if !std::fs::symlink_metadata(folder)?.is_dir() {
        return Ok(0);
    }
    for entry in std::fs::read_dir(folder)? {
        let Ok(entry) = entry else { continue };
        // Of a link: the link itself.
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
    fn all_below_a_folder_counts_and_nothing_behind_a_link() {
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
