//! Git LFS files: the commit has pointers to their contents, which are in a store beside git's objects
//! (github.com/git-lfs/git-lfs, docs/spec.md). The contents come from the local store; `git-lfs` is not executed and
//! nothing is fetched.

use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::workspace_error::with_path;
use crate::confined_fs::Folder;

/// Pointers are shorter than this.
const MAX_POINTER_BYTES: u64 = 1024;

/// The first line of a pointer.
const VERSION: &str = "version https://git-lfs.github.com/spec/v1";

/// Size, modification time in seconds and nanoseconds, and inode.
type FileVersion = (u64, i64, i64, u64);

/// A file whose pointer was replaced by its content.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LfsFile {
    /// Below the top of its repository.
    #[serde(rename = "place")]
    pub path: PathBuf,
    /// The content in the local store.
    source: PathBuf,
    /// The permissions.
    mode: u32,
    /// Identifies the version that was written.
    #[serde(rename = "state")]
    version: FileVersion,
}

impl LfsFile {
    /// Restores the content below this folder. Returns whether a program had changed it.
    ///
    /// # Errors
    /// I/O errors.
    pub fn restore(&self, folder: &Folder) -> io::Result<bool> {
        if version_of(folder, &self.path).is_ok_and(|current| current == self.version) {
            return Ok(false);
        }
        folder.clear_folder(self.path.parent().unwrap_or(Path::new("")))?;
        copy(&self.source, folder, &self.path, self.mode, None)?;
        Ok(true)
    }
}

/// Replaces a pointer by its content. `None` if the file is not a pointer.
///
/// # Errors
/// A sentence that tells why the content is not available.
pub fn replace_pointer(folder: &Folder, path: &Path, stores: &[PathBuf]) -> Result<Option<LfsFile>, String> {
    let Some((oid, size)) = read_pointer(folder, path) else { return Ok(None) };
    let sources = stores.iter().map(|store| store.join(&oid[..2]).join(&oid[2..4]).join(&oid));
    let is_content =
        |source: &PathBuf| source.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == size);
    let Some(source) = sources.into_iter().find(is_content) else {
        return Err("a Git LFS pointer whose content is not in the local clone; run `git lfs fetch`".to_owned());
    };
    let unreadable = |error: io::Error| format!("a Git LFS pointer whose content cannot be read: {error}");
    let mode = folder.open_file(path).and_then(|file| Ok(file.metadata()?.mode() & 0o777)).map_err(unreadable)?;
    copy(&source, folder, path, mode, Some(&oid)).map_err(unreadable)?;
    let version = version_of(folder, path).map_err(|error| error.to_string())?;
    Ok(Some(LfsFile { path: path.to_owned(), source, mode, version }))
}

/// The digest and the size in bytes of a pointer.
fn read_pointer(folder: &Folder, path: &Path) -> Option<(String, u64)> {
    parse(&String::from_utf8(folder.read(path, MAX_POINTER_BYTES).ok()?).ok()?)
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

/// Replaces whatever is at `path` by a copy, atomically. The copy must have the digest `oid`, if it is given.
fn copy(source: &Path, folder: &Folder, path: &Path, mode: u32, oid: Option<&str>) -> io::Result<()> {
    let (parent, name) = (source.parent().unwrap_or(source), source.file_name().unwrap_or_default());
    let write = || {
        let mut from = Folder::open(parent)?.open_file(Path::new(name))?;
        folder.write_with(path, mode, |to| {
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
    write().map_err(|error| with_path(source, error))
}

fn version_of(folder: &Folder, path: &Path) -> io::Result<FileVersion> {
    let metadata = folder.open_file(path)?.metadata()?;
    Ok((metadata.len(), metadata.mtime(), metadata.mtime_nsec(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lfs_pointers_are_recognized() {
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
