//! The reserve: a file beside the database that occupies some space, to be freed when the disk is full.
//!
//! Then it is truncated, for what must be written all the same: that runs are cancelled and end. It is filled again
//! once the disk has space for it and as much besides.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use nix::sys::statvfs::fstatvfs;
use parking_lot::Mutex;

/// How many bytes the reserve occupies: enough for some hundred small transactions.
const FULL_BYTES: u64 = 4 << 20;

/// How many it occupies on a disk that has no space for so many: some dozen small transactions.
const LEAST_BYTES: u64 = 1 << 20;

/// How many bytes are written at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// The reserve. Its file stays open, so that truncating it needs no descriptor.
pub(super) struct Reserve {
    /// `None` if the file cannot be created: then there is no reserve.
    file: Option<File>,
    /// Held for a write of the file.
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    is_held: bool,
    /// How many bytes were freed last.
    freed_bytes: u64,
}

impl Reserve {
    /// The reserve of this database, filled if the disk has the space. Blocks.
    pub(super) fn open(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push(".reserve");
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.inspect_err(|error| tracing::warn!(%error, "cannot reserve space for a full disk")).ok();
        let reserve = Self { file, state: Mutex::default() };
        reserve.restore(false);
        reserve
    }

    /// Frees the space. Returns whether there was any. Blocks.
    pub(super) fn release(&self) -> bool {
        let mut state = self.state.lock();
        let Some(file) = self.file.as_ref().filter(|_| state.is_held) else { return false };
        state.is_held = false;
        state.freed_bytes = file.metadata().map_or(FULL_BYTES, |file| file.len());
        match file.set_len(0) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "cannot free the space that is reserved for a full disk");
                false
            }
        }
    }

    /// Fills it again, if the disk has the space and as much besides. While output waits for space, that is more than
    /// what was freed, which the output would use up. Returns whether it is filled, or never can be. Blocks.
    pub(super) fn restore(&self, does_output_wait: bool) -> bool {
        let mut state = self.state.lock();
        let Some(file) = self.file.as_ref().filter(|_| !state.is_held) else { return true };
        let least = if does_output_wait { state.freed_bytes + 2 * LEAST_BYTES } else { 2 * LEAST_BYTES };
        state.is_held = fill(file, least).unwrap_or_else(|error| {
            tracing::debug!(%error, "the disk has no space to reserve");
            // Half of it is no reserve, and the space is needed.
            let _ = file.set_len(0);
            false
        });
        state.is_held
    }
}

/// Fills the file, if the disk has at least so many bytes free. Returns whether it has.
fn fill(file: &File, least: u64) -> io::Result<bool> {
    let known = file.metadata()?;
    let taken = known.len().min(known.blocks() * 512);
    if taken >= LEAST_BYTES {
        return Ok(true);
    }
    let free = free_bytes(file)? + taken;
    if free < least {
        return Ok(false);
    }
    let size = if free >= 2 * FULL_BYTES { FULL_BYTES } else { LEAST_BYTES };
    // Written, and not compressible: file systems reserve no space for holes or for what they compress.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    while chunk.len() < CHUNK_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.extend_from_slice(&state.to_le_bytes());
    }
    for at in (0..size).step_by(CHUNK_BYTES) {
        file.write_all_at(&chunk, at)?;
    }
    Ok(true)
}

/// Bytes of the disk that this program may still write.
#[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "of other widths on other systems")]
fn free_bytes(file: &File) -> io::Result<u64> {
    let disk = fstatvfs(file)?;
    Ok((disk.blocks_available() as u64).saturating_mul(disk.fragment_size() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserve_occupies_frees_and_restores_space() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::open(&folder.path().join("x.db"));
        let file = folder.path().join("x.db.reserve");
        let taken = || file.metadata().unwrap().len();
        assert_eq!(taken(), FULL_BYTES);
        assert!(reserve.release());
        assert_eq!(taken(), 0);
        assert!(!reserve.release(), "there is nothing left to free");
        assert!(reserve.restore(true));
        assert_eq!(taken(), FULL_BYTES);
        assert!(reserve.restore(false));
        drop(reserve);
        assert!(Reserve::open(&folder.path().join("x.db")).release());
    }

    #[test]
    fn reserve_is_optional() {
        let reserve = Reserve::open(Path::new("/nowhere/x.db"));
        assert!(!reserve.release());
        assert!(reserve.restore(true), "nothing waits for a reserve that cannot be");
    }
}
