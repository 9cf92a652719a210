//! Which files of a checked-out tree are looked at, and why others are not.

use std::fmt;
use std::path::Path;

use ignore::WalkBuilder;
use ignore::overrides::{Override, OverrideBuilder};

use super::language::{self, Grammar};

/// Larger files are not looked at, in bytes: no one writes them by hand, and their patches could not be shown.
const LARGEST: u64 = 5 << 20;

/// Which paths are wanted. A path is relative to the folder that is searched, with `/` between its parts.
#[derive(Debug)]
pub struct Wanted {
    include: Option<Override>,
    exclude: Option<Override>,
}

/// A glob cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{glob}` is no glob: {reason}")]
pub struct BadGlob {
    glob: String,
    reason: String,
}

/// Why a file is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    /// It leads elsewhere.
    Link,
    /// It is larger than what is looked at; its size in bytes.
    Large(u64),
    /// Its name is not UTF-8.
    Name,
    /// Its text is not UTF-8.
    Text,
    /// The system does not let it be read.
    Unreadable(String),
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link => f.write_str("a symbolic link, which is not followed"),
            Self::Large(size) => {
                write!(f, "{:.1} MB, more than the {} MB that are looked at", mb(*size), LARGEST >> 20)
            }
            Self::Name => f.write_str("its name is not UTF-8"),
            Self::Text => f.write_str("its text is not UTF-8"),
            Self::Unreadable(reason) => f.write_str(reason),
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn mb(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}

/// What a walk finds.
#[derive(Debug, Default)]
pub struct Found {
    /// The paths of files to look at, sorted.
    pub files: Vec<String>,
    /// Files that would be looked at if they could be, sorted.
    pub skipped: Vec<(String, Skip)>,
}

impl Wanted {
    /// Reads globs, separated by commas or line ends. Without any to include, everything is.
    ///
    /// # Errors
    /// [`BadGlob`].
    pub fn new(include: &str, exclude: &str) -> Result<Self, BadGlob> {
        Ok(Self { include: matcher(include)?, exclude: matcher(exclude)? })
    }

    /// Whether a path is wanted.
    pub fn has(&self, path: &str) -> bool {
        let listed = |globs: &Override| globs.matched(path, false).is_whitelist();
        self.include.as_ref().is_none_or(listed) && !self.exclude.as_ref().is_some_and(listed)
    }
}

fn matcher(globs: &str) -> Result<Option<Override>, BadGlob> {
    let globs = globs.split([',', '\n']).map(str::trim).filter(|glob| !glob.is_empty());
    let bad = |glob: &str, error: ignore::Error| BadGlob { glob: glob.to_owned(), reason: error.to_string() };
    let mut builder = OverrideBuilder::new("");
    let mut all = Vec::new();
    for glob in globs {
        if glob.starts_with('!') {
            let reason = "it begins with `!`; name what is left out under exclude".to_owned();
            return Err(BadGlob { glob: glob.to_owned(), reason });
        }
        builder.add(glob).map_err(|error| bad(glob, error))?;
        all.push(glob);
    }
    if all.is_empty() {
        return Ok(None);
    }
    builder.build().map(Some).map_err(|error| bad(&all.join(", "), error))
}

/// The files of these languages under a folder, as `ast-grep` would look at them: ignore files count, hidden files do not.
/// Links are never followed.
pub fn find(folder: &Path, grammars: &[Grammar], wanted: &Wanted) -> Found {
    let mut found = Found::default();
    let mut walk = WalkBuilder::new(folder);
    // What lies above is none of this tree: it is checked out somewhere of our own.
    walk.parents(false).require_git(false);
    for entry in walk.build() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                found.skipped.push((String::new(), Skip::Unreadable(error.to_string())));
                continue;
            }
        };
        let Some(kind) = entry.file_type() else { continue };
        let Ok(path) = entry.path().strip_prefix(folder) else { continue };
        if kind.is_dir() {
            continue;
        }
        if !language::of(path).is_some_and(|grammar| grammars.contains(&grammar)) {
            continue;
        }
        let Some(name) = path.to_str() else {
            found.skipped.push((path.to_string_lossy().into_owned(), Skip::Name));
            continue;
        };
        if !wanted.has(name) {
            continue;
        }
        match entry.metadata() {
            _ if kind.is_symlink() => found.skipped.push((name.to_owned(), Skip::Link)),
            Ok(facts) if facts.len() > LARGEST => found.skipped.push((name.to_owned(), Skip::Large(facts.len()))),
            Ok(facts) if facts.is_file() => found.files.push(name.to_owned()),
            // A socket, a pipe: no text.
            Ok(_) => {}
            Err(error) => found.skipped.push((name.to_owned(), Skip::Unreadable(error.to_string()))),
        }
    }
    found.files.sort();
    found.skipped.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// The YAML files under a folder of the tree, sorted.
pub fn rules(root: &Path, folder: &Path) -> Vec<String> {
    let is_yaml = |path: &Path| path.extension().is_some_and(|end| end == "yml" || end == "yaml");
    let walk = WalkBuilder::new(root.join(folder)).parents(false).require_git(false).build();
    let files = walk.flatten().filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()));
    let files = files.filter(|entry| is_yaml(entry.path()));
    let mut files: Vec<String> =
        files.filter_map(|entry| Some(entry.path().strip_prefix(root).ok()?.to_str()?.to_owned())).collect();
    files.sort();
    files
}

/// The text of a file. Links are not followed, whoever names them.
///
/// # Errors
/// [`Skip`]: it has none that can be looked at.
pub fn read(folder: &Path, path: &str) -> Result<String, Skip> {
    let unreadable = |error: std::io::Error| Skip::Unreadable(error.to_string());
    let mut place = folder.to_path_buf();
    for part in Path::new(path).components() {
        place.push(part);
        if place.symlink_metadata().map_err(unreadable)?.is_symlink() {
            return Err(Skip::Link);
        }
    }
    let size = place.metadata().map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(Skip::Large(size));
    }
    String::from_utf8(std::fs::read(&place).map_err(unreadable)?).map_err(|_| Skip::Text)
}
