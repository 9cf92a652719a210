//! Linters of the operator's choice, whose output is SARIF: named in the pipeline file, run in our worktree.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::PhaseError;
use super::analysis::{Analysis, Found};
use super::code::{Code, Entry};
use super::files;
use super::patches::InFile;
use super::report::{self, count};
use super::sarif::{self, BadSarif};
use super::workspace::Tree;
use crate::model::kinds::FixSafety;

/// The variable that tells the phases of their linters.
const VARIABLE: &str = "RUNTRAIL_LINTERS";

/// How long a linter may take if nothing is said.
const LIMIT: Duration = Duration::from_secs(600);

/// A linter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linter {
    /// What its rules are called by: `name/rule`.
    pub name: String,
    /// Given to `sh -c` in the project's folder of our worktree; prints SARIF 2.1.0.
    pub run: String,
    /// How long it may run, in milliseconds; ten minutes if `None`.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}

/// Why a linter's findings cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BadLinter {
    /// The variable is not as this program writes it.
    #[error("{VARIABLE} cannot be read: {0}")]
    Given(#[from] serde_json::Error),
    /// It does not end.
    #[error("the linter {0} took longer than {1:?}")]
    TooLong(String, Duration),
    /// It prints what is no SARIF.
    #[error("the linter {name} ({how}): {error}")]
    Output {
        /// Its name.
        name: String,
        /// How it ended.
        how: String,
        /// What is wrong with what it printed.
        error: BadSarif,
    },
}

/// The beginning of a phase's command that tells of the linters; empty if there are none.
pub fn given(linters: &[Linter]) -> String {
    if linters.is_empty() {
        return String::new();
    }
    // Text and numbers always are JSON. In single quotes a shell leaves all but a single quote alone.
    let json = serde_json::to_string(linters).unwrap_or_default().replace('\'', "'\\''");
    format!("export {VARIABLE}='{json}'\n")
}

/// The linters that this phase was told of.
///
/// # Errors
/// [`BadLinter::Given`].
pub fn told() -> Result<Vec<Linter>, BadLinter> {
    match std::env::var(VARIABLE) {
        Ok(json) => Ok(serde_json::from_str(&json)?),
        Err(_) => Ok(Vec::new()),
    }
}

/// Runs the linters one after another, and adds what they find.
///
/// # Errors
/// [`BadLinter`]; the disk.
pub async fn add(
    linters: &[Linter],
    tree: &Tree,
    code: &Code,
    analysis: &dyn Analysis,
    all: &mut Vec<InFile>,
    out: &mut report::Report,
) -> Result<(), PhaseError> {
    if linters.is_empty() {
        return Ok(());
    }
    // As linters print it, who ask the system where they are.
    let root = tree.root().canonicalize()?;
    let mut by_path: BTreeMap<String, Vec<Found>> = all.drain(..).map(|file| (file.path, file.found)).collect();
    for linter in linters {
        out.line(&format!("{}: {}", linter.name, linter.run.trim()))?;
        out.flush()?;
        let Report { reported, skipped, changed } = linter.look(&root, tree, code, analysis).await?;
        for sentence in skipped {
            out.line(&format!("{}: {sentence}", linter.name))?;
        }
        if changed > 0 {
            let files = count(changed, "file");
            out.line(&format!("{}: it changed {files}, which was undone: only its report counts", linter.name))?;
        }
        out.line(&format!("{}: {}", linter.name, count(reported.len(), "finding")))?;
        for (path, found) in reported {
            by_path.entry(path).or_default().push(found);
        }
    }
    all.extend(by_path.into_iter().map(|(path, mut found)| {
        found.sort_by_key(|found| (found.line, found.column, Reverse(found.severity)));
        // What two of them find in one place, and would fix alike, is one thing.
        found.dedup_by(|second, first| second.is_same(first));
        InFile { path, found }
    }));
    Ok(())
}

/// What a linter has to say.
struct Report {
    /// With their paths.
    reported: Vec<(String, Found)>,
    /// What of it is left out, in sentences.
    skipped: Vec<String>,
    /// How many files it changed.
    changed: usize,
}

impl Linter {
    /// What it finds in those files of the commit that are wanted.
    async fn look(&self, root: &Path, tree: &Tree, code: &Code, analysis: &dyn Analysis) -> Result<Report, PhaseError> {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(&self.run).current_dir(root).kill_on_drop(true);
        // What it says besides its report is for the journal.
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let limit = self.timeout_ms.map_or(LIMIT, Duration::from_millis);
        let done = tokio::time::timeout(limit, shell.spawn()?.wait_with_output()).await;
        let done = done.map_err(|_| BadLinter::TooLong(self.name.clone(), limit))??;
        // What it reports are places in the files as they were.
        let changed = tree.repository.restore(root).await?;
        let said = String::from_utf8_lossy(&done.stdout);
        let is_there = |path: &str| code.entry(path).is_some_and(Entry::is_file) && analysis.wanted().has(path);
        let text = |path: &str| is_there(path).then(|| files::read(root, path).ok()).flatten();
        let (mut reported, mut skipped) = sarif::read(&said, root, text).map_err(|error| {
            let how = done.status.to_string();
            BadLinter::Output { name: self.name.clone(), how, error }
        })?;
        // A filter of git's (line ends, say) may have made another text of what is committed, which has other places.
        let mut other = HashMap::new();
        for found in &mut reported {
            let path = &found.path;
            let differs = || code.text(path).ok() != files::read(root, path).ok();
            if !found.edits.is_empty() && *other.entry(path.clone()).or_insert_with(differs) {
                found.edits.clear();
                skipped.push(format!("made no fix in {path}: git checks it out with another text than is committed"));
            }
        }
        skipped.dedup();
        let severe = reported.into_iter().filter(|found| found.severity >= analysis.floor());
        let named = severe.map(|found| {
            let rule = format!("{}/{}", self.name, found.rule);
            let sarif::Reported { path, line, column, severity, message, edits, .. } = found;
            (path, Found { line, column, rule, severity, message, edits, safety: FixSafety::Safe, is_withheld: false })
        });
        Ok(Report { reported: named.collect(), skipped, changed })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_hands_them_over_as_they_are() {
        let linter = |run: &str| Linter { name: "x".into(), run: run.into(), timeout_ms: Some(5) };
        for run in ["true", "echo 'a b' | sed \"s/'/x/\"", "printf '\\n\\\\' $HOME `id`\nnext \"$(x)\"", "'", "ü''ß"]
        {
            let command = format!("{}printf %s \"${VARIABLE}\"", given(&[linter(run)]));
            let told = std::process::Command::new("sh").arg("-c").arg(command).output().unwrap().stdout;
            assert_eq!(serde_json::from_slice::<Vec<Linter>>(&told).unwrap(), [linter(run)]);
        }
    }
}
