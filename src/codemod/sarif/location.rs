//! Resolves artifactLocations (§3.4) to files. Pure: paths are compared by their spelling.

use std::collections::HashMap;
use std::path::Path;

use super::shape::{ArtifactLocation, SarifRun, at, some};

/// Why a location is not a file of the project.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotInProject {
    /// It has neither a URI nor an artifact with one.
    #[error("it names no file")]
    Unnamed,
    #[error("{0} is outside the project")]
    Outside(String),
    /// Its URI is not that of a file.
    #[error("{0} is no file")]
    Foreign(String),
}

/// The folder that a path is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PathBase {
    /// The project's folder, where the linter runs.
    Project,
    /// The top of the repository.
    Top,
    Absolute,
}

/// A possible file of a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCandidate {
    /// Relative to the top of the repository; `None` if it is outside.
    pub in_top: Option<String>,
    /// Relative to the project's folder; `None` if it is outside.
    pub in_project: Option<String>,
    pub base: PathBase,
}

/// The project's folder and the top of its repository.
pub struct ProjectRoots {
    project: Vec<String>,
    top: Vec<String>,
}

impl ProjectRoots {
    /// Both paths are absolute.
    pub fn new(project: &Path, top: &Path) -> Self {
        let of = |folder: &Path| parts(Vec::new(), &folder.to_string_lossy());
        Self { project: of(project), top: of(top) }
    }

    /// The possible files of a location: for each interpretation of its text, the most likely first, one for each base.
    ///
    /// # Errors
    /// [`NotInProject`].
    pub fn files(&self, location: &ArtifactLocation, run: &SarifRun) -> Result<Vec<Vec<FileCandidate>>, NotInProject> {
        let named = some(&location.uri).map(|uri| (location, uri));
        // The URI takes precedence (§3.4.5), since some tools write the index 0 for none.
        let listed = || {
            let location = at(&run.artifacts, location.index)?.location.as_ref()?;
            Some((location, some(&location.uri)?))
        };
        let (location, uri) = named.or_else(listed).ok_or(NotInProject::Unnamed)?;
        let whole = resolve(uri, some(&location.uri_base_id), run.original_uri_base_ids.as_ref());
        let mut paths = Vec::new();
        // Many tools write a path instead of a URI; then percent signs and colons are literal.
        if let Some(path) = file_path(&whole) {
            paths.extend(decode(&path));
            paths.push(path);
        }
        if scheme(&whole).is_some_and(|scheme| !scheme.eq_ignore_ascii_case("file")) {
            paths.push(whole);
        }
        paths.dedup();
        Ok(paths.iter().map(|path| self.readings(path)).collect())
    }

    /// Why the location is not a file of the project.
    pub fn not_in_project(&self, location: &ArtifactLocation, run: &SarifRun) -> NotInProject {
        let listed = || some(&at(&run.artifacts, location.index)?.location.as_ref()?.uri);
        let Some(uri) = some(&location.uri).or_else(listed) else { return NotInProject::Unnamed };
        let whole = resolve(uri, some(&location.uri_base_id), run.original_uri_base_ids.as_ref());
        match file_path(&whole) {
            None => NotInProject::Foreign(uri.to_owned()),
            Some(_) => NotInProject::Outside(uri.to_owned()),
        }
    }

    fn readings(&self, path: &str) -> Vec<FileCandidate> {
        let bases = match path.starts_with('/') {
            true => vec![(PathBase::Absolute, Vec::new())],
            false if self.project == self.top => vec![(PathBase::Project, self.project.clone())],
            false => vec![(PathBase::Project, self.project.clone()), (PathBase::Top, self.top.clone())],
        };
        let candidate = |(base, from)| {
            let parts = parts(from, path);
            let below = |folder: &[String]| {
                let below = parts.strip_prefix(folder)?;
                (!below.is_empty()).then(|| below.join("/"))
            };
            FileCandidate { in_top: below(&self.top), in_project: below(&self.project), base }
        };
        bases.into_iter().map(candidate).collect()
    }
}

/// Appends the parts of a path.
fn parts(mut from: Vec<String>, path: &str) -> Vec<String> {
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(from.pop()),
            part => from.push(part.to_owned()),
        }
    }
    from
}

/// Resolves a URI against its bases (§3.14.14). An undefined base is the project's folder: §3.4.4 leaves it to the
/// reader, and tools mean that by an undefined `%SRCROOT%`.
fn resolve(uri: &str, base: Option<&str>, bases: Option<&HashMap<String, ArtifactLocation>>) -> String {
    let mut whole = uri.replace('\\', "/");
    let mut next = base;
    // At most as many steps as there are bases, since they may form a cycle.
    for _ in 0..bases.map_or(0, HashMap::len) {
        if whole.starts_with('/') || scheme(&whole).is_some() {
            break;
        }
        let Some(base) = next.and_then(|id| bases?.get(id)) else { break };
        if let Some(uri) = some(&base.uri) {
            // A base should end with a slash.
            whole = format!("{}/{whole}", uri.replace('\\', "/").trim_end_matches('/'));
        }
        next = some(&base.uri_base_id);
    }
    whole
}

/// The scheme of a URI. A drive letter counts as one.
fn scheme(uri: &str) -> Option<&str> {
    let (scheme, _) = uri.split_once(':')?;
    let word = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(word)).then_some(scheme)
}

/// The path of a URI, still percent-encoded.
fn file_path(uri: &str) -> Option<String> {
    let Some(scheme) = scheme(uri) else { return Some(uri.to_owned()) };
    if !scheme.eq_ignore_ascii_case("file") {
        return None;
    }
    let rest = &uri[scheme.len() + 1..];
    let Some(rest) = rest.strip_prefix("//") else { return Some(rest.to_owned()) };
    // The host is empty or localhost. Some tools write a relative path where the host should be.
    Some(rest.strip_prefix("localhost/").map_or_else(|| rest.to_owned(), |path| format!("/{path}")))
}

/// Decodes percent-encoding. `None` if the result is not UTF-8.
fn decode(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let digit = |index: usize| after.get(index).and_then(|digit| (*digit as char).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}
