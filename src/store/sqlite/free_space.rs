//! How much space a disk has.

use std::path::Path;

use nix::sys::statvfs::statvfs;

/// Bytes that this program may still write to the disk of a folder.
///
/// # Errors
/// The folder does not exist, or its file system does not answer.
#[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "of other widths on other systems")]
pub(super) fn free_bytes(folder: &Path) -> nix::Result<u64> {
    let disk = statvfs(folder)?;
    Ok((disk.blocks_available() as u64).saturating_mul(disk.fragment_size() as u64))
}

/// A number of bytes for people.
pub(super) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
