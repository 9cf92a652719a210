//! Reads a whole log.

use std::collections::HashSet;

use super::finding::{MAX_QUOTE_CHARS, ProjectPaths, SarifFinding, one_line};
use super::reader::LogReader;
use super::shape::{LogHead, SarifLog};

/// The only supported version.
const VERSION: &str = "2.1.0";

/// Why a log cannot be read. The texts are shown to users.
#[derive(Debug, thiserror::Error)]
pub enum SarifError {
    #[error("the linter printed nothing")]
    Empty,
    #[error("the linter printed no SARIF ({error}); it begins: {output}")]
    NotSarif {
        /// The beginning of the output.
        output: String,
        error: serde_json::Error,
    },
    /// It is truncated, has trailing text or does not have the structure of a log.
    #[error("the linter's SARIF cannot be read: {0}")]
    Json(serde_json::Error),
    #[error("the linter printed JSON that is no SARIF: it has no version")]
    NoVersion,
    #[error("the linter's SARIF is of version {0}; {VERSION} can be read")]
    UnsupportedVersion(String),
}

/// The findings of a log in its order, and sentences on what is left out. `source` returns the text of a file by its
/// path relative to the project's folder, or `None` if the file is not analyzed.
///
/// # Errors
/// [`SarifError`].
pub fn read(
    text: &str,
    paths: ProjectPaths<'_>,
    source: impl FnMut(&str) -> Option<String>,
) -> Result<(Vec<SarifFinding>, Vec<String>), SarifError> {
    let log = parse(text)?;
    let mut reader = LogReader::new(paths, source);
    for run in log.runs.iter().flatten() {
        reader.read_run(run);
    }
    let (mut findings, mut skipped) = (reader.findings, reader.skipped);
    // A tool that analyzes a file for several build targets reports everything several times.
    let mut seen = HashSet::new();
    let is_new: Vec<bool> =
        findings.iter().map(|one| seen.insert((&one.path, one.line, one.column, &one.rule, &one.message))).collect();
    let mut is_new = is_new.into_iter();
    findings.retain(|_| is_new.next().unwrap_or(true));
    let mut seen = HashSet::new();
    skipped.retain(|sentence| seen.insert(sentence.clone()));
    Ok((findings, skipped))
}

fn parse(text: &str) -> Result<SarifLog, SarifError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let start = text.trim_start();
    if start.is_empty() {
        return Err(SarifError::Empty);
    }
    let check_version = |version: Option<String>| match version {
        None => Err(SarifError::NoVersion),
        Some(version) if version != VERSION => Err(SarifError::UnsupportedVersion(one_line(&version, MAX_QUOTE_CHARS))),
        Some(_) => Ok(()),
    };
    match serde_json::from_str::<SarifLog>(text) {
        Ok(mut log) => check_version(log.version.take()).map(|()| log),
        Err(error) if !start.starts_with('{') => {
            Err(SarifError::NotSarif { output: one_line(start, MAX_QUOTE_CHARS), error })
        }
        Err(error) => {
            // A log of another version has another structure; then the version is reported.
            if error.is_data()
                && let Ok(header) = serde_json::from_str::<LogHead>(text)
            {
                check_version(header.version)?;
            }
            Err(SarifError::Json(error))
        }
    }
}
