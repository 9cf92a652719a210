//! Files of Git LFS: what is committed is a pointer to their content, which is in a store of its own beside git's objects
//! (github.com/git-lfs/git-lfs, docs/spec.md). They are taken from the local store; `git-lfs` is not run and nothing is fetched.

use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::workspace::named;
use crate::confined_fs::Folder;

/// A pointer is shorter than this, in bytes.
const LONGEST_POINTER: u64 = 1024;

/// The first line of a pointer.
const VERSION: &str = "version https://git-lfs.github.com/spec/v1";

/// A pointer's place, which holds its content now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Large {
    /// Where, below the folder of its repository's files.
    pub place: PathBuf,
    /// Where its content comes from.
    source: PathBuf,
    /// Its permissions.
    mode: u32,
    /// How it was when it was written.
    state: (u64, i64, i64, u64),
}

impl Large {
    /// Writes it again below this folder if somebody has changed it; whether that was so.
    ///
    /// # Errors
    /// The disk.
    pub fn restore(&self, folder: &Folder) -> io::Result<bool> {
        if state(folder, &self.place).is_ok_and(|now| now == self.state) {
            return Ok(false);
        }
        folder.clear_folder(self.place.parent().unwrap_or(Path::new("")))?;
        copy(&self.source, folder, &self.place, self.mode, None)?;
        Ok(true)
    }
}

/// Replaces a pointer by its content. `None` if the file is no pointer.
///
/// # Errors
/// A sentence: why its content cannot be had.
pub fn provide(folder: &Folder, place: &Path, stores: &[PathBuf]) -> Result<Option<Large>, String> {
    let Some((oid, size)) = read_pointer(folder, place) else { return Ok(None) };
    let paths = stores.iter().map(|store| store.join(&oid[..2]).join(&oid[2..4]).join(&oid));
    let is_it = |path: &PathBuf| path.metadata().is_ok_and(|facts| facts.is_file() && facts.len() == size);
    let Some(source) = paths.into_iter().find(is_it) else {
        return Err("a Git LFS pointer whose content is not in the local clone; run `git lfs fetch`".to_owned());
    };
    let cannot = |error: io::Error| format!("a Git LFS pointer whose content cannot be read: {error}");
    let mode = folder.open_file(place).and_then(|file| Ok(file.metadata()?.mode() & 0o777)).map_err(cannot)?;
    copy(&source, folder, place, mode, Some(&oid)).map_err(cannot)?;
    let state = state(folder, place).map_err(|error| error.to_string())?;
    Ok(Some(Large { place: place.to_owned(), source, mode, state }))
}

/// The digest and the size in bytes that a pointer names.
fn read_pointer(folder: &Folder, place: &Path) -> Option<(String, u64)> {
    parse(&String::from_utf8(folder.read(place, LONGEST_POINTER).ok()?).ok()?)
}

fn parse(text: &str) -> Option<(String, u64)> {
    let mut lines = text.lines();
    if lines.next()? != VERSION {
        return None;
    }
    let (mut oid, mut size) = (None, None);
    for line in lines {
        match line.split_once(' ')? {
            ("oid", value) => oid = value.strip_prefix("sha256:"),
            ("size", value) => size = value.parse().ok(),
            _ => {}
        }
    }
    let oid = oid.filter(|oid| oid.len() == 64 && oid.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some((oid.to_owned(), size?))
}

/// Puts a copy in a file's place, in one step, whatever is there; checked against its digest if that is given.
fn copy(source: &Path, folder: &Folder, place: &Path, mode: u32, oid: Option<&str>) -> io::Result<()> {
    let (parent, name) = (source.parent().unwrap_or(source), source.file_name().unwrap_or_default());
    let write = || {
        let mut from = Folder::open(parent)?.open_file(Path::new(name))?;
        folder.write_with(place, mode, |to| {
            let (mut digest, mut buffer) = (Sha256::new(), vec![0; 256 << 10]);
            loop {
                let read = from.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                digest.update(&buffer[..read]);
                to.write_all(&buffer[..read])?;
            }
            let found: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            match oid {
                Some(oid) if !oid.eq_ignore_ascii_case(&found) => {
                    Err(io::Error::new(io::ErrorKind::InvalidData, "its content is another one; run `git lfs fsck`"))
                }
                _ => Ok(()),
            }
        })
    };
    write().map_err(|error| named(source, error))
}

fn state(folder: &Folder, place: &Path) -> io::Result<(u64, i64, i64, u64)> {
    let facts = folder.open_file(place)?.metadata()?;
    Ok((facts.len(), facts.mtime(), facts.mtime_nsec(), facts.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_read_and_nothing_else_is() {
        let oid = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
        let pointer = format!("{VERSION}\noid sha256:{oid}\nsize 12345\n");
        assert_eq!(parse(&pointer), Some((oid.to_owned(), 12345)));
        let extended = format!("{VERSION}\next-0-foo sha256:{oid}\noid sha256:{oid}\nsize 0\n");
        assert_eq!(parse(&extended), Some((oid.to_owned(), 0)));
        for other in [
            String::new(),
            pointer.replace("v1", "v2"),
            pointer.replace("sha256", "md5"),
            pointer.replace("4d7a", "../.."),
            format!("{VERSION}\nsize 1\n"),
            "text\n".to_owned(),
        ] {
            assert_eq!(parse(&other), None, "{other}");
        }
    }
}
