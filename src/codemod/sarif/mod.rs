//! Findings of other linters, with their fixes, from their logs in SARIF 2.1.0. Pure.
//!
//! § is a section of the specification (docs.oasis-open.org/sarif/sarif/v2.1.0). A log is taken as it is meant where that is
//! certain, since tools do not keep to all of it. An edit at a place that is not certain is not made.

mod location;
mod reader;
mod region;
mod rule;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::Path;

use super::analysis::Severity;
use super::edits::Edit;
use reader::Reader;
use shape::{Head, Log};

/// The one version that is read.
const VERSION: &str = "2.1.0";

/// How much is told of what a linter printed, in characters.
const TOLD: usize = 80;

/// What a linter reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The file, relative to the project's folder, with `/` and without `..`.
    pub path: String,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1, in characters.
    pub column: u64,
    /// The rule's name; the linter's if it names no rule.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What fixes it, all of it together: in the order of places, none touching another one. Empty if there is no fix, or none
    /// that can be made.
    pub edits: Vec<Edit>,
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadSarif {
    /// There is none.
    #[error("the linter printed nothing")]
    Nothing,
    /// Something else was printed.
    #[error("the linter printed no SARIF ({error}); it begins: {said}")]
    NotSarif {
        /// How it begins.
        said: String,
        /// What is wrong, and where.
        error: serde_json::Error,
    },
    /// It is cut off, goes on, or is not of the form of a log.
    #[error("the linter's SARIF cannot be read: {0}")]
    Json(serde_json::Error),
    /// It is JSON, but no SARIF.
    #[error("the linter printed JSON that is no SARIF: it has no version")]
    NoVersion,
    /// It is another version, which has other properties.
    #[error("the linter's SARIF is of version {0}; {VERSION} can be read")]
    Version(String),
}

/// Where the files are that a log is about.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    /// The project's folder, where the linter runs; absolute.
    pub root: &'a Path,
    /// The top of the repository that it is in; absolute.
    pub top: &'a Path,
    /// Whether a path relative to the top is a file. Without it, those are that have a text.
    pub exists: Option<&'a dyn Fn(&str) -> bool>,
}

/// The same for a project that is a whole repository.
///
/// # Errors
/// [`BadSarif`].
#[cfg(test)]
fn read(
    text: &str,
    root: &Path,
    source: impl FnMut(&str) -> Option<String>,
) -> Result<(Vec<Reported>, Vec<String>), BadSarif> {
    read_in(text, Places { root, top: root, exists: None }, source)
}

/// The findings in a log, in its order, and sentences on what of it is left out. `source` has the text of a file by its path
/// relative to the project's folder, or `None` if it is no file that is looked at.
///
/// # Errors
/// [`BadSarif`].
pub fn read_in(
    text: &str,
    places: Places<'_>,
    source: impl FnMut(&str) -> Option<String>,
) -> Result<(Vec<Reported>, Vec<String>), BadSarif> {
    let log = parse(text)?;
    let mut reader = Reader::new(places, source);
    for run in log.runs.iter().flatten() {
        reader.run(run);
    }
    let (mut found, mut skipped) = (reader.found, reader.skipped);
    // A tool that looks at a file for several targets finds everything several times.
    let mut seen = HashSet::new();
    let new: Vec<bool> =
        found.iter().map(|one| seen.insert((&one.path, one.line, one.column, &one.rule, &one.message))).collect();
    let mut new = new.into_iter();
    found.retain(|_| new.next().unwrap_or(true));
    let mut told = HashSet::new();
    skipped.retain(|sentence| told.insert(sentence.clone()));
    Ok((found, skipped))
}

fn parse(text: &str) -> Result<Log, BadSarif> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let start = text.trim_start();
    if start.is_empty() {
        return Err(BadSarif::Nothing);
    }
    let version = |version: Option<String>| match version {
        None => Err(BadSarif::NoVersion),
        Some(version) if version != VERSION => Err(BadSarif::Version(plain(&version, TOLD))),
        Some(_) => Ok(()),
    };
    match serde_json::from_str::<Log>(text) {
        Ok(mut log) => version(log.version.take()).map(|()| log),
        Err(error) if !start.starts_with('{') => Err(BadSarif::NotSarif { said: plain(start, TOLD), error }),
        Err(error) => {
            // Another version has other shapes, and then that is what is wrong.
            if error.is_data()
                && let Ok(head) = serde_json::from_str::<Head>(text)
            {
                version(head.version)?;
            }
            Err(BadSarif::Json(error))
        }
    }
}

/// What somebody else wrote, for a sentence on a line of its own: a line that it broke could pass for another one.
fn plain(text: &str, length: usize) -> String {
    let seen = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(length).map(seen).collect::<String>().trim().to_owned()
}
