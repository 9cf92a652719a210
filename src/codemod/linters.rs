//! Linters of the operator's choice, whose output is SARIF: named in the pipeline file, run in our checkout.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::PhaseError;
use super::analysis::{Analysis, Found};
use super::code::{Code, Entry};
use super::command::{self, Limits, Output, Stopped};
use super::edits::Edit;
use super::files::{self as text_files, Skip};
use super::indent::is_crlf;
use super::patches::InFile;
use super::report::{self, count};
use super::sarif::{self, BadSarif, Places};
use super::trial::Trial;
use super::workspace::named;
use crate::confined_fs::Folder;
use crate::model::kinds::FixSafety;

/// The longest report, in bytes. It is held in memory, and read as a whole.
const LONGEST_REPORT: usize = 256 << 20;

/// The variable that tells the phases of their linters.
const VARIABLE: &str = "RUNTRAIL_LINTERS";

/// How long a linter may take if nothing is said.
const LIMIT: Duration = Duration::from_secs(600);

/// A linter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linter {
    /// What its rules are called by: `name/rule`.
    pub name: String,
    /// Given to `sh -c` in the project's folder of the checkout; prints SARIF 2.1.0.
    pub run: String,
    /// How long it may run, in milliseconds; ten minutes if `None`.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// How far its fixes can be trusted, in the words of whoever wrote the pipeline file.
    #[serde(default, skip_serializing_if = "is_safe")]
    pub fixes: FixSafety,
}

fn is_safe(fixes: &FixSafety) -> bool {
    *fixes == FixSafety::Safe
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
    /// It prints far more than it should.
    #[error("the linter {0} printed more than {limit} MiB and was ended; have it look at fewer files, or report less", limit = LONGEST_REPORT >> 20)]
    TooMuch(String),
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

/// Runs the linters one after another in the checkout as it is; what they find, by file. `texts` are those of the files that differ
/// from the commit there.
///
/// # Errors
/// [`BadLinter`]; the disk.
pub async fn look(
    linters: &[Linter],
    trial: &Trial<'_>,
    code: &Code,
    texts: &BTreeMap<String, String>,
    analysis: &dyn Analysis,
    out: &mut report::Report,
) -> Result<Vec<InFile>, PhaseError> {
    let mut by_path: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    for linter in linters {
        out.line(&format!("{}: {}", linter.name, linter.run.trim()))?;
        out.flush()?;
        let Report { reported, skipped, changed, left } = linter.look(trial, code, texts, analysis).await?;
        for sentence in skipped {
            out.line(&format!("{}: {sentence}", linter.name))?;
        }
        if changed > 0 {
            let files = count(changed, "file");
            out.line(&format!("{}: it changed {files}, which was undone: only its report counts", linter.name))?;
        }
        if !left.is_empty() {
            out.line(&format!("{}: ended what it left running: {}", linter.name, left.join(", ")))?;
        }
        out.line(&format!("{}: {}", linter.name, count(reported.len(), "finding")))?;
        for (path, found) in reported {
            by_path.entry(path).or_default().push(found);
        }
    }
    Ok(by_path.into_iter().map(|(path, found)| InFile { path, found }).collect())
}

/// Adds what linters have found to what is known.
pub fn merge(all: &mut Vec<InFile>, reported: Vec<InFile>) {
    let mut by_path: BTreeMap<String, Vec<Found>> = all.drain(..).map(|file| (file.path, file.found)).collect();
    for file in reported {
        by_path.entry(file.path).or_default().extend(file.found);
    }
    all.extend(by_path.into_iter().map(|(path, mut found)| {
        found.sort_by_key(|found| (found.line, found.column, Reverse(found.severity)));
        // What two of them find in one place, and would fix alike, is one thing.
        found.dedup_by(|second, first| second.is_same(first));
        InFile { path, found }
    }));
}

/// What a linter has to say.
struct Report {
    /// With their paths.
    reported: Vec<(String, Found)>,
    /// What of it is left out, in sentences.
    skipped: Vec<String>,
    /// How many files it changed.
    changed: usize,
    /// The processes that it left running.
    left: Vec<String>,
}

impl Linter {
    /// What it finds in those files of the commit that are wanted.
    async fn look(
        &self,
        trial: &Trial<'_>,
        code: &Code,
        texts: &BTreeMap<String, String>,
        analysis: &dyn Analysis,
    ) -> Result<Report, PhaseError> {
        // As linters print it, who ask the system where they are.
        let canonical = |folder: &Folder| folder.path().canonicalize().map_err(|error| named(folder.path(), error));
        let (folder, files) = (trial.root()?, trial.top()?);
        let (root, top) = (canonical(&folder)?, canonical(&files)?);
        let mut shell = command::shell(&self.run, &folder, &top);
        // What it says besides its report is for the journal.
        shell.stderr(Stdio::inherit());
        let limit = self.timeout_ms.map_or(LIMIT, Duration::from_millis);
        let limits = Limits { time: limit, output: Output::AtMost(LONGEST_REPORT) };
        let done = match command::run(shell, None, limits, true).await {
            Ok(done) => done,
            Err(Stopped::TooLong(_)) => return Err(BadLinter::TooLong(self.name.clone(), limit).into()),
            Err(Stopped::TooMuch) => return Err(BadLinter::TooMuch(self.name.clone()).into()),
            Err(Stopped::NotStarted(error) | Stopped::Lost(error)) => return Err(named(&root, error).into()),
        };
        // What it reports are places in the files as they were.
        let changed = trial.restore().await?;
        // It may have put others in their place.
        let (folder, files) = (trial.root()?, trial.top()?);
        let said = String::from_utf8_lossy(&done.stdout);
        let kept = |path: &str| texts.get(path).cloned().or_else(|| code.text(path).ok());
        let is_there = |path: &str| code.entry(path).is_some_and(Entry::is_file) && analysis.wanted().has(path);
        let text = |path: &str| match text_files::read(&folder, path) {
            _ if !is_there(path) => None,
            Ok(text) => Some(text),
            // It is checked out in another encoding, and has the same lines there.
            Err(Skip::Text) => kept(path),
            Err(_) => None,
        };
        let exists = |path: &str| files.has_file(Path::new(path));
        let places = Places { root: &root, top: &top, exists: Some(&exists) };
        let (mut reported, mut skipped) = sarif::read_in(&said, places, text).map_err(|error| {
            let how = done.status.to_string();
            BadLinter::Output { name: self.name.clone(), how, error }
        })?;
        let mut forms = HashMap::new();
        for found in reported.iter_mut().filter(|found| !found.edits.is_empty()) {
            let path = &found.path;
            let form =
                forms.entry(path.clone()).or_insert_with(|| Form::of(kept(path), text_files::read(&folder, path).ok()));
            if !form.adapt(&mut found.edits) {
                skipped.push(format!("made no fix in {path}: git checks it out with another text than is committed"));
            }
        }
        skipped.dedup();
        let severe = reported.into_iter().filter(|found| found.severity >= analysis.floor());
        let named = severe.map(|found| {
            let rule = format!("{}/{}", self.name, found.rule);
            let sarif::Reported { path, line, column, severity, message, edits, .. } = found;
            let safety = self.fixes;
            let mut found = Found { line, column, rule, severity, message, edits, safety, is_withheld: false };
            if !analysis.is_verified() {
                found.withhold_unverified();
            }
            (path, found)
        });
        Ok(Report { reported: named.collect(), skipped, changed, left: done.left })
    }
}

/// How the text that a linter sees and the text that git keeps belong together.
enum Form {
    /// They are the same. All of its lines end with CRLF, or not.
    Same { is_crlf: bool },
    /// The linter sees CRLF where git keeps LF; what it sees.
    LineEnds(String),
    /// Git makes another text of it: another encoding, say.
    Other,
}

impl Form {
    fn of(kept: Option<String>, seen: Option<String>) -> Self {
        match (kept, seen) {
            (Some(kept), Some(seen)) if kept == seen => Self::Same { is_crlf: is_crlf(&kept) },
            (Some(kept), Some(seen)) if seen.replace("\r\n", "\n") == kept => Self::LineEnds(seen),
            _ => Self::Other,
        }
    }

    /// Makes edits of what a linter sees those of what git keeps. Without any, they cannot be made so.
    fn adapt(&self, edits: &mut Vec<Edit>) -> bool {
        match self {
            Self::Same { is_crlf: false } => {}
            Self::Same { is_crlf: true } => {
                for edit in edits {
                    edit.text = edit.text.replace("\r\n", "\n").replace('\n', "\r\n");
                }
            }
            Self::LineEnds(seen) => {
                let kept = |at: usize| at - seen.match_indices("\r\n").take_while(|(cr, _)| *cr < at).count();
                for edit in edits {
                    edit.range = kept(edit.range.start)..kept(edit.range.end);
                    edit.text = edit.text.replace("\r\n", "\n");
                }
            }
            Self::Other => {
                edits.clear();
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn edits_of_crlf_become_edits_of_lf() {
        let (kept, seen) = ("a\nbc\nd\n", "a\r\nbc\r\nd\r\n");
        let form = Form::of(Some(kept.to_owned()), Some(seen.to_owned()));
        let edit = |range: std::ops::Range<usize>, text: &str| Edit { range, text: text.to_owned() };
        let mut edits = vec![edit(1..3, "\r\n\r\n"), edit(4..5, "x"), edit(7..8, "y\r\nz")];
        assert!(form.adapt(&mut edits));
        assert_eq!(edits, [edit(1..2, "\n\n"), edit(3..4, "x"), edit(5..6, "y\nz")]);
        let form = Form::of(Some("a\r\n".to_owned()), Some("a\r\n".to_owned()));
        let mut edits = vec![edit(0..1, "b\nc\r\nd")];
        assert!(form.adapt(&mut edits));
        assert_eq!(edits, [edit(0..1, "b\r\nc\r\nd")]);
        assert!(!Form::of(Some("a".to_owned()), None).adapt(&mut edits) && edits.is_empty());
    }

    #[test]
    fn the_shell_hands_them_over_as_they_are() {
        let linter =
            |run: &str| Linter { name: "x".into(), run: run.into(), timeout_ms: Some(5), fixes: FixSafety::Review };
        for run in ["true", "echo 'a b' | sed \"s/'/x/\"", "printf '\\n\\\\' $HOME `id`\nnext \"$(x)\"", "'", "ü''ß"]
        {
            let command = format!("{}printf %s \"${VARIABLE}\"", given(&[linter(run)]));
            let told = std::process::Command::new("sh").arg("-c").arg(command).output().unwrap().stdout;
            assert_eq!(serde_json::from_slice::<Vec<Linter>>(&told).unwrap(), [linter(run)]);
        }
    }
}
