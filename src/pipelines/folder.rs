//! All pipeline files of a folder, read once.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file;
use crate::model::{Pipeline, PipelineFileError};

/// No pipeline file is larger. Keeps a stray file from filling the memory.
const LARGEST_FILE: u64 = 1024 * 1024;

/// What a folder of pipelines said when it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The pipelines, by name.
    pub pipelines: BTreeMap<String, Arc<Pipeline>>,
    /// The file that each pipeline is from, by the pipeline's name.
    pub files: BTreeMap<String, String>,
    /// The files that are refused, by file name.
    pub faults: Vec<PipelineFileError>,
    /// Every variable that any file names as one with a secret, also a file that is refused, or was there before.
    pub secrets: BTreeSet<String>,
}

/// The keys whose values name variables of the server with secrets in them.
const SECRET_KEYS: [&str; 2] = ["secret_env", "url_env"];

/// The variables that a file names as secrets. Read by line and not as TOML: a file with a mistake has its secrets all the same.
fn secrets(text: &str) -> impl Iterator<Item = String> {
    SECRET_KEYS.into_iter().flat_map(move |key| named(text, key)).chain(super::secrets::variables(text))
}

/// The names that this key has as its values in a text.
pub(super) fn named<'a>(text: &'a str, key: &'static str) -> impl Iterator<Item = String> + 'a {
    text.match_indices(key).filter_map(move |(at, _)| named_by(&text[at + key.len()..]))
}

/// The name in `= "NAME"`, of which the quotes may be others or missing.
fn named_by(rest: &str) -> Option<String> {
    let value = rest.trim_start_matches(['"', '\'', ' ', '\t']).strip_prefix('=')?;
    let value = value.trim_start_matches(['"', '\'', ' ', '\t']);
    let name: String = value.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// Too many open files, of this program or of the whole system.
const EMFILE: i32 = nix::errno::Errno::EMFILE as i32;
const ENFILE: i32 = nix::errno::Errno::ENFILE as i32;

/// Reads each `*.toml` of the folder, in the order of their names. Hidden files (editors keep their own there) are left out.
///
/// A bad file is a fault of the snapshot; an error is a folder that cannot be listed, or a system without descriptors.
pub(super) fn read(folder: &Path) -> io::Result<Snapshot> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension() == Some(OsStr::new("toml")) {
            files.push(path);
        }
    }
    files.sort();

    let mut snapshot = Snapshot::default();
    for path in files {
        let file = name_of(&path);
        let bytes = match read_bytes(&path) {
            // The system has no descriptor for it just now: that says nothing about the file.
            Err(error) if matches!(error.raw_os_error(), Some(code) if code == EMFILE || code == ENFILE) => {
                return Err(error);
            }
            bytes => bytes,
        };
        match read_file(&path, &file, bytes, &mut snapshot.secrets) {
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

/// The fault of a folder that could be read once and cannot be any more.
pub(super) fn gone(folder: &Path, error: &io::Error) -> PipelineFileError {
    let reason = format!(
        "The folder of pipelines cannot be read ({error}). Its pipelines stay as they were last read until it is back."
    );
    PipelineFileError { file: folder.display().to_string(), line: 1, reason }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// `Ok(None)` if the file went away after the folder was listed.
fn read_file(
    path: &Path,
    file: &str,
    bytes: io::Result<Vec<u8>>,
    named: &mut BTreeSet<String>,
) -> Result<Option<file::Parsed>, PipelineFileError> {
    let fault = |reason: String| PipelineFileError { file: file.to_owned(), line: 1, reason };
    match bytes {
        Ok(bytes) if bytes.len() as u64 > LARGEST_FILE => {
            Err(fault("The file is larger than 1 MiB. That is no pipeline; move it away.".into()))
        }
        Ok(bytes) => {
            named.extend(secrets(&String::from_utf8_lossy(&bytes)));
            file::parse(file, &bytes).map(Some)
        }
        Err(_) if fs::symlink_metadata(path).is_err() => Ok(None),
        Err(error) => Err(fault(format!("The file cannot be read: {error}."))),
    }
}

fn read_bytes(path: &PathBuf) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: a named pipe would block.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
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
    fn secrets_are_known_by_their_names_whatever_else_a_file_says() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("a.toml", &format!("{}[[notify]]\nurl_env = \"HOOK_URL\"\nsecret_env='NOTIFY_SECRET'\n", pipeline("a")));
        write("b.toml", "not TOML [ hook = { \"secret_env\" = \"FORGE\" }\nsecret_env = BARE\nsecret_env =\n");
        let read = read(folder.path()).unwrap();
        assert_eq!(read.faults.len(), 1);
        assert_eq!(
            read.secrets.iter().map(String::as_str).collect::<Vec<_>>(),
            ["BARE", "FORGE", "HOOK_URL", "NOTIFY_SECRET"]
        );
    }

    #[test]
    fn good_files_stay_available_beside_bad_ones() {
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

        let snapshot = read(folder.path()).unwrap();
        assert_eq!(snapshot.pipelines.keys().collect::<Vec<_>>(), ["one", "two"]);
        let faults: Vec<_> = snapshot.faults.iter().map(|fault| (fault.file.as_str(), fault.line)).collect();
        assert_eq!(faults, [("b.toml", 2), ("c.toml", 1), ("e.toml", 1), ("h.toml", 1), ("i.toml", 1)]);
        let reasons = ["taken by a.toml", "not valid TOML", "larger than 1 MiB", "not a plain file", "cannot be read"];
        for (fault, reason) in snapshot.faults.iter().zip(reasons) {
            assert!(fault.reason.contains(reason), "{fault}");
        }
    }

    #[test]
    fn the_samples_of_the_project_are_good() {
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/pipelines");
        let snapshot = read(&samples).unwrap();
        assert_eq!(snapshot.faults, []);
        assert!(!snapshot.pipelines.is_empty());
    }
}
