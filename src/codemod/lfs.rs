//! Files of Git LFS: what is committed is a pointer to their content, which is in a store of its own beside git's objects
//! (github.com/git-lfs/git-lfs, docs/spec.md). They are taken from the local store; `git-lfs` is not run and nothing is fetched.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::workspace::named;

/// A pointer is shorter than this, in bytes.
const LONGEST_POINTER: u64 = 1024;

/// The first line of a pointer.
const VERSION: &str = "version https://git-lfs.github.com/spec/v1";

/// A pointer's place, which holds its content now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Large {
    /// Where, absolute.
    pub place: PathBuf,
    /// Where its content comes from.
    source: PathBuf,
    /// How it was when it was written.
    state: (u64, i64, i64, u64),
}

impl Large {
    /// Writes it again if somebody has changed it; whether that was so.
    ///
    /// # Errors
    /// The disk.
    pub fn restore(&self) -> io::Result<bool> {
        if state(&self.place).is_ok_and(|now| now == self.state) {
            return Ok(false);
        }
        if let Some(folder) = self.place.parent() {
            std::fs::create_dir_all(folder).map_err(|error| named(folder, error))?;
        }
        copy(&self.source, &self.place, None)?;
        Ok(true)
    }
}

/// Replaces a pointer by its content. `None` if the file is no pointer.
///
/// # Errors
/// A sentence: why its content cannot be had.
pub fn provide(place: &Path, stores: &[PathBuf]) -> Result<Option<Large>, String> {
    let Some((oid, size)) = read_pointer(place) else { return Ok(None) };
    let paths = stores.iter().map(|store| store.join(&oid[..2]).join(&oid[2..4]).join(&oid));
    let Some(source) = paths.into_iter().find(|path| path.metadata().is_ok_and(|facts| facts.len() == size)) else {
        return Err("a Git LFS pointer whose content is not in the local clone; run `git lfs fetch`".to_owned());
    };
    copy(&source, place, Some(&oid))
        .map_err(|error| format!("a Git LFS pointer whose content cannot be read: {error}"))?;
    let state = state(place).map_err(|error| error.to_string())?;
    Ok(Some(Large { place: place.to_owned(), source, state }))
}

/// The digest and the size in bytes that a pointer names.
fn read_pointer(place: &Path) -> Option<(String, u64)> {
    let facts = place.symlink_metadata().ok()?;
    if !facts.is_file() || facts.len() > LONGEST_POINTER {
        return None;
    }
    parse(&std::fs::read_to_string(place).ok()?)
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
fn copy(source: &Path, place: &Path, oid: Option<&str>) -> io::Result<()> {
    let mode = place.symlink_metadata().ok().filter(std::fs::Metadata::is_file).map(|facts| facts.permissions());
    let mut new = place.as_os_str().to_owned();
    new.push(".runtrail-new");
    let new = PathBuf::from(new);
    let write = || {
        // One that somebody has put there may be a link.
        let _ = std::fs::remove_file(&new);
        let (mut from, mut to) = (File::open(source)?, File::create_new(&new)?);
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
        if oid.is_some_and(|oid| !oid.eq_ignore_ascii_case(&found)) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its content is another one; run `git lfs fsck`"));
        }
        if let Some(mode) = mode {
            to.set_permissions(mode)?;
        }
        std::fs::rename(&new, place)
    };
    write().map_err(|error| {
        let _ = std::fs::remove_file(&new);
        named(source, error)
    })
}

fn state(place: &Path) -> io::Result<(u64, i64, i64, u64)> {
    let facts = place.symlink_metadata()?;
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
