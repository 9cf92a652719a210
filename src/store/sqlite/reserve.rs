//! The reserve: a file beside the database that takes up some room, so that there is room when the disk is full.
//!
//! It is given back while the disk is full, for what must be written all the same: that runs are cancelled and end. It
//! is filled again once the disk has room for it and as much besides.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use nix::sys::statvfs::fstatvfs;

/// How many bytes the reserve takes up: some hundred small transactions.
const SIZE: u64 = 4 << 20;

/// How many it takes up on a disk that has no room for so many: some dozen small transactions.
const LEAST: u64 = 1 << 20;

/// How many bytes are written at a time.
const CHUNK: usize = 64 << 10;

/// The reserve. Its file stays open, so that giving the room back needs no descriptor.
pub(super) struct Reserve {
    /// `None` if the file cannot be made: then there is no reserve.
    file: Option<File>,
    /// Held for a write of the file.
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    is_held: bool,
    /// How many bytes were given back last.
    released: u64,
}

impl Reserve {
    /// The reserve of this database. Takes the room up if the disk has it. Blocks.
    pub(super) fn open(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push(".reserve");
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.inspect_err(|error| tracing::warn!(%error, "no room is set aside for a full disk")).ok();
        let reserve = Self { file, state: Mutex::default() };
        reserve.restore(false);
        reserve
    }

    /// Gives the room back. Returns whether there was any. Blocks.
    pub(super) fn release(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = self.file.as_ref().filter(|_| state.is_held) else { return false };
        state.is_held = false;
        state.released = file.metadata().map_or(SIZE, |file| file.len());
        match file.set_len(0) {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "the room that was set aside for a full disk cannot be given back");
                false
            }
        }
    }

    /// Takes the room up again, if the disk has it and as much besides. While activity waits for room, that is more
    /// than what was given back, which it would use up. Returns whether the room is taken up, or never can be. Blocks.
    pub(super) fn restore(&self, does_activity_wait: bool) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = self.file.as_ref().filter(|_| !state.is_held) else { return true };
        let least = if does_activity_wait { state.released + 2 * LEAST } else { 2 * LEAST };
        state.is_held = fill(file, least).unwrap_or_else(|error| {
            tracing::debug!(%error, "the disk has no room to set aside");
            // Half of it is no reserve, and the room is needed.
            let _ = file.set_len(0);
            false
        });
        state.is_held
    }
}

/// Fills the file, if the disk has at least so many bytes of room. Returns whether it has.
fn fill(file: &File, least: u64) -> io::Result<bool> {
    let known = file.metadata()?;
    let taken = known.len().min(known.blocks() * 512);
    if taken >= LEAST {
        return Ok(true);
    }
    let free = free_bytes(file)? + taken;
    if free < least {
        return Ok(false);
    }
    let size = if free >= 2 * SIZE { SIZE } else { LEAST };
    // Written and not only asked for, and not all the same: file systems keep no room for what is empty or can be
    // compressed.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut chunk = Vec::with_capacity(CHUNK);
    while chunk.len() < CHUNK {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.extend_from_slice(&state.to_le_bytes());
    }
    for at in (0..size).step_by(CHUNK) {
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
    fn reserve_takes_up_real_room_gives_it_back_and_takes_it_again() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::open(&folder.path().join("x.db"));
        let file = folder.path().join("x.db.reserve");
        let taken = || file.metadata().unwrap().len();
        assert_eq!(taken(), SIZE);
        assert!(reserve.release());
        assert_eq!(taken(), 0);
        assert!(!reserve.release(), "there is nothing left to give back");
        assert!(reserve.restore(true));
        assert_eq!(taken(), SIZE);
        assert!(reserve.restore(false));
        drop(reserve);
        // The next server finds it.
        assert!(Reserve::open(&folder.path().join("x.db")).release());
    }

    #[test]
    fn reserve_that_cannot_be_made_is_none() {
        let reserve = Reserve::open(Path::new("/nowhere/x.db"));
        assert!(!reserve.release());
        assert!(reserve.restore(true), "nothing waits for what can never be");
    }
}
