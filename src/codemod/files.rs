//! Which files of a commit are looked at, and why others are not.

use std::fmt;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use ignore::overrides::{Override, OverrideBuilder};
use rustix::io::Errno;

use super::code::Code;
use super::ignored::{self, Ignored};
use super::language::{self, Grammar};
use crate::confined_fs::Folder;

/// Larger files are not looked at, in bytes: no one writes them by hand, and their patches could not be shown.
pub const LARGEST: u64 = 5 << 20;

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
    /// A program has written it.
    Generated,
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
            Self::Generated => f.write_str("a program has written it"),
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

/// The files of these languages, as `ast-grep` would look at them in a checkout: ignore files count, hidden files do not. Links
/// are never followed.
pub fn find(code: &Code, grammars: &[Grammar], wanted: &Wanted) -> Found {
    let mut found = Found::default();
    let mut ignored = Ignored::default();
    for (path, _) in code.entries().filter(|(path, _)| ignored::NAMES.contains(&name_of(path))) {
        // One that cannot be read says nothing.
        if let Ok(text) = code.text(path) {
            ignored.add(path, &text);
        }
    }
    let is_known = |path: &str| language::of(path).is_some_and(|grammar| grammars.contains(&grammar));
    for path in code.unnamed().iter().filter(|path| is_known(path)) {
        found.skipped.push((path.clone(), Skip::Name));
    }
    for (path, entry) in code.entries() {
        if entry.is_submodule() || !is_known(path) || !wanted.has(path) || ignored.has(path) {
            continue;
        }
        match entry.is_link() {
            true => found.skipped.push((path.to_owned(), Skip::Link)),
            false => found.files.push(path.to_owned()),
        }
    }
    found.skipped.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The YAML files under a folder of the tree, sorted.
pub fn rules(code: &Code, folder: &Path) -> Vec<String> {
    let is_yaml = |path: &str| path.ends_with(".yml") || path.ends_with(".yaml");
    let folder: PathBuf = folder.components().filter(|part| *part != Component::CurDir).collect();
    let under = code.entries().filter(|(path, entry)| !entry.is_link() && Path::new(path).starts_with(&folder));
    under.map(|(path, _)| path.to_owned()).filter(|path| is_yaml(path)).collect()
}

/// The text of a file of a checkout. Links are not followed, whoever names them.
///
/// # Errors
/// [`Skip`]: it has none that can be looked at.
pub fn read(folder: &Folder, path: &str) -> Result<String, Skip> {
    let unreadable = |error: io::Error| match error.raw_os_error() {
        Some(code) if code == Errno::LOOP.raw_os_error() || code == Errno::NOTDIR.raw_os_error() => Skip::Link,
        _ => Skip::Unreadable(error.to_string()),
    };
    let mut file = folder.open_file(Path::new(path)).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(Skip::Large(size));
    }
    let mut bytes = Vec::new();
    (&mut file).take(LARGEST).read_to_end(&mut bytes).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| Skip::Text)
}
