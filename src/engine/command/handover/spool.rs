//! The records of a supervisor that are not journaled yet, by offset.
//!
//! They are in memory, or all of them in a file once they are many. The file has no name, so nothing is left of it
//! however the supervisor ends. It is not synced: if the machine stops, the command is gone, too.

use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;

/// The most bytes that are kept in memory.
pub const MEMORY_BYTES: usize = 1 << 20;

/// How many bytes are read from the file at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Records from the first that is not journaled to the last.
#[derive(Debug)]
pub struct Spool {
    /// The offset of the first byte that is kept.
    start: u64,
    /// The offset after the last one.
    end: u64,
    store: SpoolStore,
    /// The most bytes to keep while no server reads.
    capacity: u64,
    make_file: fn(&File) -> io::Result<File>,
    folder: Option<File>,
}

#[derive(Debug)]
enum SpoolStore {
    /// The bytes after `journaled` ones that are not removed yet.
    Memory { bytes: Vec<u8>, journaled: usize },
    /// A file that begins with the byte at the offset `base`.
    File { file: File, base: u64, chunk: Vec<u8> },
}

impl Spool {
    /// An empty spool. Its file is made in `folder`; without one everything stays in memory.
    pub fn new(folder: Option<File>, capacity: u64) -> Self {
        let store = SpoolStore::Memory { bytes: Vec::new(), journaled: 0 };
        Self { start: 0, end: 0, store, capacity, make_file: unnamed_file, folder }
    }

    /// The offset after the last record.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The offsets that can be read from.
    pub fn offsets(&self) -> RangeInclusive<u64> {
        self.start..=self.end
    }

    /// Whether no more output should be read. While a server reads, few records are kept: they are the delay between
    /// the command and its log.
    pub fn is_full(&self, has_reader: bool) -> bool {
        let most = if has_reader || self.folder.is_none() { MEMORY_BYTES as u64 } else { self.capacity };
        self.end - self.start >= most
    }

    /// Adds bytes. If the disk has no room they stay in memory, and the spool counts as full.
    pub fn append(&mut self, more: &[u8]) {
        self.end += more.len() as u64;
        if let SpoolStore::Memory { bytes, journaled } = &mut self.store
            && bytes.len() - *journaled + more.len() > MEMORY_BYTES
            && let Some(folder) = &self.folder
        {
            let moved = (self.make_file)(folder).and_then(|file| {
                file.write_all_at(&bytes[*journaled..], 0)?;
                Ok(file)
            });
            match moved {
                Ok(file) => self.store = SpoolStore::File { file, base: self.start, chunk: Vec::new() },
                // Tried again with the next record. No more output is read until a server has come.
                Err(_) => self.capacity = MEMORY_BYTES as u64,
            }
        }
        match &mut self.store {
            SpoolStore::Memory { bytes, .. } => bytes.extend_from_slice(more),
            SpoolStore::File { file, base, .. } => {
                let at = self.end - more.len() as u64 - *base;
                if file.write_all_at(more, at).is_err() {
                    self.return_to_memory(more);
                }
            }
        }
    }

    /// The file takes no more: what is kept comes back to memory, with `last`, which is not in the file.
    fn return_to_memory(&mut self, last: &[u8]) {
        let SpoolStore::File { file, base, .. } = &self.store else { return };
        let kept = usize::try_from(self.end - self.start).unwrap_or(usize::MAX).saturating_sub(last.len());
        let mut bytes = vec![0; kept];
        if file.read_exact_at(&mut bytes, self.start - base).is_ok() {
            bytes.extend_from_slice(last);
            self.store = SpoolStore::Memory { bytes, journaled: 0 };
            self.capacity = MEMORY_BYTES as u64;
        }
    }

    /// Some bytes from this offset on; none at the end.
    ///
    /// # Errors
    /// The disk's.
    pub fn read(&mut self, offset: u64) -> io::Result<&[u8]> {
        let left = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX);
        match &mut self.store {
            SpoolStore::Memory { bytes, .. } => Ok(&bytes[bytes.len() - left.min(bytes.len())..]),
            SpoolStore::File { file, base, chunk } => {
                chunk.resize(left.min(CHUNK_BYTES), 0);
                file.read_exact_at(chunk, offset - *base)?;
                Ok(chunk)
            }
        }
    }

    /// Records that everything before this offset is journaled.
    pub fn acknowledge(&mut self, offset: u64) {
        let offset = offset.clamp(self.start, self.end);
        let gone = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        self.start = offset;
        match &mut self.store {
            SpoolStore::Memory { bytes, journaled } => {
                *journaled += gone;
                // Moved seldom, so that it costs little.
                if *journaled >= bytes.len() / 2 {
                    bytes.drain(..*journaled);
                    *journaled = 0;
                }
            }
            SpoolStore::File { .. } if self.end - self.start <= (MEMORY_BYTES / 2) as u64 => self.leave_file(),
            SpoolStore::File { .. } => {}
        }
    }

    fn leave_file(&mut self) {
        let capacity = self.capacity;
        self.return_to_memory(&[]);
        self.capacity = capacity;
    }
}

/// A file of this folder's disk that has no name and that only this process can reach.
fn unnamed_file(folder: &File) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, openat};
    let access = OFlags::RDWR | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    #[cfg(target_os = "linux")]
    if let Ok(file) = openat(folder, ".", access | OFlags::TMPFILE, mode) {
        return Ok(file.into());
    }
    // The file system has no such files: its name is removed at once.
    let name = format!("spool-{}", std::process::id());
    let file = openat(folder, &name, access | OFlags::CREATE | OFlags::EXCL, mode)?;
    rustix::fs::unlinkat(folder, &name, rustix::fs::AtFlags::empty())?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folder() -> (tempfile::TempDir, File) {
        let folder = tempfile::tempdir().unwrap();
        let file = File::open(folder.path()).unwrap();
        (folder, file)
    }

    const BLOCK_BYTES: usize = 1024;

    /// What the block at this offset consists of.
    fn block(offset: u64) -> [u8; BLOCK_BYTES] {
        [(offset.wrapping_mul(2_654_435_761) >> 24) as u8; BLOCK_BYTES]
    }

    fn blocks(from: u64, count: u64) -> Vec<u8> {
        (0..count).flat_map(|number| block(from + number * BLOCK_BYTES as u64)).collect()
    }

    fn assert_reads(spool: &mut Spool, mut offset: u64) {
        let end = spool.end();
        while offset < end {
            let read = spool.read(offset).unwrap().to_vec();
            assert!(!read.is_empty());
            for part in read.chunks(BLOCK_BYTES) {
                assert!(part == block(offset));
                offset += part.len() as u64;
            }
        }
        assert_eq!((offset, spool.read(end).unwrap().len()), (end, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        /// Whatever is added and journaled: every offset that is kept reads the same bytes.
        #[test]
        fn spool_reads_what_was_added(
            steps in prop::collection::vec((0..700u64, 0..100u64, 0..100u64), 1..16),
            has_folder: bool,
        ) {
            let (_folder, file) = folder();
            let mut spool = Spool::new(has_folder.then_some(file), 4 << 20);
            for (size, journaled, read) in steps {
                spool.append(&blocks(spool.end(), size));
                let kept = spool.offsets();
                let bytes = BLOCK_BYTES as u64;
                let part = |percent: u64| kept.start() + (kept.end() - kept.start()) / bytes * percent / 100 * bytes;
                spool.acknowledge(part(journaled));
                assert_reads(&mut spool, part(read.max(journaled)));
                let start = *spool.offsets().start();
                assert_reads(&mut spool, start);
            }
        }
    }

    #[test]
    fn spool_uses_a_file_only_while_it_must_and_leaves_nothing() {
        let (folder, file) = folder();
        let mut spool = Spool::new(Some(file), 4 << 20);
        spool.append(&vec![1; MEMORY_BYTES]);
        assert!(matches!(spool.store, SpoolStore::Memory { .. }) && spool.is_full(true) && !spool.is_full(false));
        spool.append(&vec![1; 3 * MEMORY_BYTES]);
        assert!(matches!(spool.store, SpoolStore::File { .. }) && spool.is_full(false));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        spool.acknowledge(4 << 20);
        assert!(matches!(spool.store, SpoolStore::Memory { .. }) && !spool.is_full(true));
    }

    #[test]
    fn spool_without_room_on_the_disk_keeps_what_it_has() {
        let (_folder, file) = folder();
        let mut spool = Spool::new(Some(file), 8 << 20);
        spool.make_file = |_| Err(io::Error::from(io::ErrorKind::StorageFull));
        blocks(0, 3 * 1024).chunks(100 * BLOCK_BYTES).for_each(|chunk| spool.append(chunk));
        assert!(spool.is_full(false));
        assert_reads(&mut spool, 0);
    }
}
