//! Which files are read as text, and why others are not.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use rustix::io::Errno;

use crate::confined_fs::Folder;

/// Larger files are skipped: nobody writes them by hand, and their patches could not be shown.
pub const MAX_SOURCE_BYTES: u64 = 5 << 20;

/// Why a file is skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkipReason {
    SymbolicLink,
    /// Its size in bytes is above [`MAX_SOURCE_BYTES`].
    TooLarge(u64),
    NameNotUtf8,
    TextNotUtf8,
    Unreadable(String),
    Generated,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SymbolicLink => f.write_str("a symbolic link, which is not followed"),
            Self::TooLarge(size) => {
                write!(f, "{:.1} MB, more than the {} MB that are looked at", mebibytes(*size), MAX_SOURCE_BYTES >> 20)
            }
            Self::NameNotUtf8 => f.write_str("its name is not UTF-8"),
            Self::TextNotUtf8 => f.write_str("its text is not UTF-8"),
            Self::Unreadable(reason) => f.write_str(reason),
            Self::Generated => f.write_str("a program has written it"),
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}

/// The text of a file in a checkout. Links are not followed.
///
/// # Errors
/// [`SkipReason`].
pub fn read(folder: &Folder, path: &str) -> Result<String, SkipReason> {
    let unreadable = |error: io::Error| match error.raw_os_error() {
        Some(code) if code == Errno::LOOP.raw_os_error() || code == Errno::NOTDIR.raw_os_error() => {
            SkipReason::SymbolicLink
        }
        _ => SkipReason::Unreadable(error.to_string()),
    };
    let mut file = folder.open_file(Path::new(path)).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    if size > MAX_SOURCE_BYTES {
        return Err(SkipReason::TooLarge(size));
    }
    let mut bytes = Vec::new();
    (&mut file).take(MAX_SOURCE_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| SkipReason::TextNotUtf8)
}
