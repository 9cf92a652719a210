//! Reads all pipeline files of a folder once.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file;
use super::secret_variables::secret_variables;
use crate::model::{BuiltInPipeline, Pipeline, PipelineFileError};

/// The largest pipeline file. Bounds the memory that a stray file can take.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The content of a folder of pipelines at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// By name.
    pub pipelines: BTreeMap<String, Arc<Pipeline>>,
    /// The file of each pipeline, by the pipeline's name.
    pub files: BTreeMap<String, String>,
    /// The refused files, in the order of their names.
    pub faults: Vec<PipelineFileError>,
    /// Every variable that a file names as a secret, including refused files and files that have since been removed.
    pub secret_variables: BTreeSet<String>,
}

/// The error codes for too many open files, in this process or in the whole system.
const EMFILE: i32 = nix::errno::Errno::EMFILE as i32;
const ENFILE: i32 = nix::errno::Errno::ENFILE as i32;

/// Reads each `*.toml` file of the folder in the order of their names, without hidden files.
///
/// # Errors
/// The folder cannot be listed, or the system is out of file descriptors. A bad file is not an error but a fault in the
/// snapshot.
pub(super) fn read(folder: &Path, built_in: &[BuiltInPipeline]) -> io::Result<Snapshot> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && path.extension() == Some(OsStr::new("toml")) {
            files.push(path);
        }
    }
    files.sort();

    let mut snapshot = Snapshot::default();
    for path in files {
        let file = name_of(&path);
        let bytes = match read_bytes(&path) {
            // A temporary lack of descriptors is no fault of this file.
            Err(error) if matches!(error.raw_os_error(), Some(code) if code == EMFILE || code == ENFILE) => {
                return Err(error);
            }
            bytes => bytes,
        };
        match read_file(&path, &file, bytes, built_in, &mut snapshot.secret_variables) {
            Ok(Some(parsed)) => {
                let name = parsed.pipeline.name.clone();
                if let Some(first) = snapshot.files.get(&name) {
                    let reason = format!("The name `{name}` is taken by {first}. Give one of them another name.");
                    snapshot.faults.push(PipelineFileError { file, line: parsed.name_line, reason });
                } else {
                    snapshot.files.insert(name.clone(), file);
                    snapshot.pipelines.insert(name, Arc::new(parsed.pipeline));
                }
            }
            Ok(None) => {}
            Err(fault) => snapshot.faults.push(fault),
        }
    }
    Ok(snapshot)
}

/// The fault of a folder that could be read before but not now.
pub(super) fn missing_folder(folder: &Path, error: &io::Error) -> PipelineFileError {
    let reason = format!(
        "The folder of pipelines cannot be read ({error}). Its pipelines stay as they were last read until it is back."
    );
    PipelineFileError { file: folder.display().to_string(), line: 1, reason }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// `Ok(None)` if the file was removed after the folder was listed.
fn read_file(
    path: &Path,
    file: &str,
    bytes: io::Result<Vec<u8>>,
    built_in: &[BuiltInPipeline],
    secrets: &mut BTreeSet<String>,
) -> Result<Option<file::ParsedFile>, PipelineFileError> {
    let fault = |reason: String| PipelineFileError { file: file.to_owned(), line: 1, reason };
    match bytes {
        Ok(bytes) if bytes.len() as u64 > MAX_FILE_BYTES => {
            Err(fault("The file is larger than 1 MiB. That is no pipeline; move it away.".into()))
        }
        Ok(bytes) => {
            secrets.extend(secret_variables(&String::from_utf8_lossy(&bytes)));
            file::parse(file, &bytes, built_in).map(Some)
        }
        Err(_) if fs::symlink_metadata(path).is_err() => Ok(None),
        Err(error) => Err(fault(format!("The file cannot be read: {error}."))),
    }
}

fn read_bytes(path: &PathBuf) -> io::Result<Vec<u8>> {
    // Checked before it is opened: opening a named pipe would block.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn pipeline(name: &str) -> String {
        format!("\nname = '{name}'\n[[phases]]\nname = 'a'\nrun = 'true'\n")
    }

    #[test]
    fn snapshot_has_secret_variables_of_refused_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("a.toml", &format!("{}[[notify]]\nurl_env = \"HOOK_URL\"\n", pipeline("a")));
        write("b.toml", "not TOML [\nsecret_env = FORGE\n");
        let snapshot = read(folder.path(), &[]).unwrap();
        assert_eq!(snapshot.faults.len(), 1);
        assert_eq!(snapshot.secret_variables, BTreeSet::from(["FORGE", "HOOK_URL"].map(str::to_owned)));
    }

    #[test]
    fn good_files_are_read_beside_bad_ones() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("a.toml", &pipeline("one"));
        write("b.toml", &pipeline("one"));
        write("c.toml", "name = ");
        write("d.toml", &pipeline("two"));
        write("e.toml", &" ".repeat(1024 * 1024 + 1));
        write(".hidden.toml", "nonsense");
        write("g.toml~", "nonsense");
        write("README.md", "nonsense");
        fs::create_dir(folder.path().join("h.toml")).unwrap();
        symlink("nowhere", folder.path().join("i.toml")).unwrap();
        symlink("nowhere", folder.path().join(".#a.toml")).unwrap();

        let snapshot = read(folder.path(), &[]).unwrap();
        assert_eq!(snapshot.pipelines.keys().collect::<Vec<_>>(), ["one", "two"]);
        let faults: Vec<_> = snapshot.faults.iter().map(|fault| (fault.file.as_str(), fault.line)).collect();
        assert_eq!(faults, [("b.toml", 2), ("c.toml", 1), ("e.toml", 1), ("h.toml", 1), ("i.toml", 1)]);
        let reasons = ["taken by a.toml", "not valid TOML", "larger than 1 MiB", "not a plain file", "cannot be read"];
        for (fault, reason) in snapshot.faults.iter().zip(reasons) {
            assert!(fault.reason.contains(reason), "{fault}");
        }
    }

    #[test]
    fn sample_pipelines_are_valid() {
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/pipelines");
        let snapshot = read(&samples, &[]).unwrap();
        assert_eq!(snapshot.faults, []);
        assert!(!snapshot.pipelines.is_empty());
    }
}
