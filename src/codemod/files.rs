//! Which files of a commit are analyzed.

use std::path::{Component, Path, PathBuf};

use ignore::overrides::{Override, OverrideBuilder};

use super::commit_files::CommitFiles;
use super::ignored::{self, IgnoreFiles};
use super::language::{self, Grammar};
use super::source_text::SkipReason;

/// Globs for paths relative to the searched folder, with `/` as the separator.
#[derive(Debug)]
pub struct PathFilter {
    include: Option<Override>,
    exclude: Option<Override>,
}

/// A glob that cannot be parsed.
#[derive(Debug, thiserror::Error)]
#[error("`{glob}` is no glob: {reason}")]
pub struct GlobError {
    glob: String,
    reason: String,
}

/// The files to analyze.
#[derive(Debug, Default)]
pub struct SourceFiles {
    /// Their paths, sorted.
    pub files: Vec<String>,
    /// Files that cannot be analyzed, sorted.
    pub skipped: Vec<(String, SkipReason)>,
}

impl PathFilter {
    /// Parses globs that are separated by commas or line breaks. An empty `include` means all paths.
    ///
    /// # Errors
    /// [`GlobError`].
    pub fn new(include: &str, exclude: &str) -> Result<Self, GlobError> {
        Ok(Self { include: matcher(include)?, exclude: matcher(exclude)? })
    }

    pub fn has(&self, path: &str) -> bool {
        let listed = |globs: &Override| globs.matched(path, false).is_whitelist();
        self.include.as_ref().is_none_or(listed) && !self.exclude.as_ref().is_some_and(listed)
    }
}

fn matcher(globs: &str) -> Result<Option<Override>, GlobError> {
    let globs = globs.split([',', '\n']).map(str::trim).filter(|glob| !glob.is_empty());
    let bad = |glob: &str, error: ignore::Error| GlobError { glob: glob.to_owned(), reason: error.to_string() };
    let mut builder = OverrideBuilder::new("");
    let mut all = Vec::new();
    for glob in globs {
        if glob.starts_with('!') {
            let reason = "it begins with `!`; name what is left out under exclude".to_owned();
            return Err(GlobError { glob: glob.to_owned(), reason });
        }
        builder.add(glob).map_err(|error| bad(glob, error))?;
        all.push(glob);
    }
    if all.is_empty() {
        return Ok(None);
    }
    builder.build().map(Some).map_err(|error| bad(&all.join(", "), error))
}

/// The files of these languages that `ast-grep` would scan in a checkout: ignore files apply and hidden files are
/// skipped. Links are not followed.
pub fn find(commit: &CommitFiles, grammars: &[Grammar], filter: &PathFilter) -> SourceFiles {
    let mut sources = SourceFiles::default();
    let mut ignored = IgnoreFiles::default();
    for (path, _) in commit.entries().filter(|(path, _)| ignored::NAMES.contains(&file_name(path))) {
        // An unreadable ignore file is skipped.
        if let Ok(text) = commit.text(path) {
            ignored.add(path, &text);
        }
    }
    let is_known = |path: &str| language::of(path).is_some_and(|grammar| grammars.contains(&grammar));
    for path in commit.non_utf8_paths().iter().filter(|path| is_known(path)) {
        sources.skipped.push((path.clone(), SkipReason::NameNotUtf8));
    }
    for (path, entry) in commit.entries() {
        if entry.is_submodule() || !is_known(path) || !filter.has(path) || ignored.skips(path) {
            continue;
        }
        match entry.is_link() {
            true => sources.skipped.push((path.to_owned(), SkipReason::SymbolicLink)),
            false => sources.files.push(path.to_owned()),
        }
    }
    sources.skipped.sort_by(|a, b| a.0.cmp(&b.0));
    sources
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The YAML files below a folder of the commit, sorted.
pub fn yaml_files(commit: &CommitFiles, folder: &Path) -> Vec<String> {
    let is_yaml = |path: &str| path.ends_with(".yml") || path.ends_with(".yaml");
    let folder: PathBuf = folder.components().filter(|part| *part != Component::CurDir).collect();
    let under = commit.entries().filter(|(path, entry)| !entry.is_link() && Path::new(path).starts_with(&folder));
    under.map(|(path, _)| path.to_owned()).filter(|path| is_yaml(path)).collect()
}
