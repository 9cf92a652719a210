//! Which file an artifactLocation (§3.4) is. Pure: paths are compared as they are spelled.

use std::collections::HashMap;
use std::path::Path;

use super::shape::{ArtifactLocation, Run, at, some};

/// Why a location is no file of the project.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Elsewhere {
    /// It has neither a URI nor an artifact that has one.
    #[error("it names no file")]
    Unnamed,
    /// It is in another folder.
    #[error("{0} is outside the project")]
    Outside(String),
    /// It is not on a disk.
    #[error("{0} is no file")]
    Foreign(String),
}

/// Which folder a path is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Base {
    /// The project's, where the linter runs.
    Project,
    /// The repository's top.
    Top,
    /// None: it is absolute.
    None,
}

/// A file that a location may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The path relative to the repository's top; `None` if it is outside.
    pub in_top: Option<String>,
    /// The path relative to the project's folder; `None` if it is outside.
    pub in_project: Option<String>,
    /// How its path is understood.
    pub base: Base,
}

/// The folder of the project, and the top of the repository that it is in.
pub struct Root {
    project: Vec<String>,
    top: Vec<String>,
}

impl Root {
    /// These folders, which are absolute.
    pub fn new(project: &Path, top: &Path) -> Self {
        let of = |folder: &Path| parts(Vec::new(), &folder.to_string_lossy());
        Self { project: of(project), top: of(top) }
    }

    /// The files that a location may mean: by each way to read its text, what it means most likely first; of each, by what it may
    /// be relative to.
    ///
    /// # Errors
    /// [`Elsewhere`].
    pub fn files(&self, location: &ArtifactLocation, run: &Run) -> Result<Vec<Vec<Candidate>>, Elsewhere> {
        let named = some(&location.uri).map(|uri| (location, uri));
        // Tools that write the index 0 for none have a URI (§3.4.5), so that comes first.
        let listed = || {
            let location = at(&run.artifacts, location.index)?.location.as_ref()?;
            Some((location, some(&location.uri)?))
        };
        let (location, uri) = named.or_else(listed).ok_or(Elsewhere::Unnamed)?;
        let whole = resolve(uri, some(&location.uri_base_id), run.original_uri_base_ids.as_ref());
        let mut paths = Vec::new();
        // Many tools write a path where a URI should be, and then a percent sign is one, and a colon too.
        if let Some(path) = on_disk(&whole) {
            paths.extend(decode(&path));
            paths.push(path);
        }
        if scheme(&whole).is_some_and(|scheme| !scheme.eq_ignore_ascii_case("file")) {
            paths.push(whole);
        }
        paths.dedup();
        Ok(paths.iter().map(|path| self.readings(path)).collect())
    }

    /// What the location says, if no file is meant.
    pub fn elsewhere(&self, location: &ArtifactLocation, run: &Run) -> Elsewhere {
        let listed = || some(&at(&run.artifacts, location.index)?.location.as_ref()?.uri);
        let Some(uri) = some(&location.uri).or_else(listed) else { return Elsewhere::Unnamed };
        let whole = resolve(uri, some(&location.uri_base_id), run.original_uri_base_ids.as_ref());
        match on_disk(&whole) {
            None => Elsewhere::Foreign(uri.to_owned()),
            Some(_) => Elsewhere::Outside(uri.to_owned()),
        }
    }

    fn readings(&self, path: &str) -> Vec<Candidate> {
        let bases = match path.starts_with('/') {
            true => vec![(Base::None, Vec::new())],
            false if self.project == self.top => vec![(Base::Project, self.project.clone())],
            false => vec![(Base::Project, self.project.clone()), (Base::Top, self.top.clone())],
        };
        let candidate = |(base, from)| {
            let parts = parts(from, path);
            let below = |folder: &[String]| {
                let below = parts.strip_prefix(folder)?;
                (!below.is_empty()).then(|| below.join("/"))
            };
            Candidate { in_top: below(&self.top), in_project: below(&self.project), base }
        };
        bases.into_iter().map(candidate).collect()
    }
}

/// Follows a path, part by part.
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

/// Puts the bases of a URI before it (§3.14.14). A base that nobody knows is the project's folder, which §3.4.4 leaves to the
/// reader: what tools call `%SRCROOT%` and do not define is that.
fn resolve(uri: &str, base: Option<&str>, bases: Option<&HashMap<String, ArtifactLocation>>) -> String {
    let mut whole = uri.replace('\\', "/");
    let mut next = base;
    // As many steps as there are bases: they may name each other in a circle.
    for _ in 0..bases.map_or(0, HashMap::len) {
        if whole.starts_with('/') || scheme(&whole).is_some() {
            break;
        }
        let Some(base) = next.and_then(|id| bases?.get(id)) else { break };
        if let Some(uri) = some(&base.uri) {
            // It ends with a slash, or should.
            whole = format!("{}/{whole}", uri.replace('\\', "/").trim_end_matches('/'));
        }
        next = some(&base.uri_base_id);
    }
    whole
}

/// The scheme of a URI. A drive's letter looks like one, and is no place of ours either.
fn scheme(uri: &str) -> Option<&str> {
    let (scheme, _) = uri.split_once(':')?;
    let word = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(word)).then_some(scheme)
}

/// The path that a URI is, still with its percent signs.
fn on_disk(uri: &str) -> Option<String> {
    let Some(scheme) = scheme(uri) else { return Some(uri.to_owned()) };
    if !scheme.eq_ignore_ascii_case("file") {
        return None;
    }
    let rest = &uri[scheme.len() + 1..];
    let Some(rest) = rest.strip_prefix("//") else { return Some(rest.to_owned()) };
    // No name of a host, or our own. Behind what is neither, a path follows that is relative: so some tools write it.
    Some(rest.strip_prefix("localhost/").map_or_else(|| rest.to_owned(), |path| format!("/{path}")))
}

/// Without percent signs. `None` if it does not become text.
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
