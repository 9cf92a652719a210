//! Runs linters in the checkout and reads their reports.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::analysis::Analysis;
use super::command::{self, CommandError, CommandLimits, OutputBound};
use super::commit_files::{CommitFiles, TreeEntry};
use super::edits::Edit;
use super::error::PhaseError;
use super::finding::{FileFindings, Finding};
use super::indent::is_crlf;
use super::linters::{LinterError, MAX_REPORT_BYTES};
use super::phase_log::{PhaseLog, count};
use super::sarif::{self, ProjectPaths, SarifFinding};
use super::source_text::{self, SkipReason};
use super::trial::Trial;
use super::workspace_error::with_path;
use crate::confined_fs::Folder;
use crate::model::Linter;

const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(600);

/// Runs the linters one after another in the checkout as it is; their findings by file. `changed_texts` are the texts
/// of the files that differ from the commit there.
///
/// # Errors
/// [`LinterError`], or an I/O error.
pub async fn run_all(
    linters: &[Linter],
    trial: &Trial<'_>,
    commit: &CommitFiles,
    changed_texts: &BTreeMap<String, String>,
    analysis: &dyn Analysis,
    log: &mut PhaseLog,
) -> Result<Vec<FileFindings>, PhaseError> {
    let mut by_path: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
    for linter in linters {
        log.line(&format!("{}: {}", linter.name, linter.run.trim()))?;
        log.flush()?;
        let report = run_linter(linter, trial, commit, changed_texts, analysis).await?;
        for sentence in report.skipped {
            log.line(&format!("{}: {sentence}", linter.name))?;
        }
        if report.changed > 0 {
            let files = count(report.changed, "file");
            log.line(&format!("{}: it changed {files}, which was undone: only its report counts", linter.name))?;
        }
        if !report.leftovers.is_empty() {
            log.line(&format!("{}: ended what it left running: {}", linter.name, report.leftovers.join(", ")))?;
        }
        log.line(&format!("{}: {}", linter.name, count(report.findings.len(), "finding")))?;
        for (path, finding) in report.findings {
            by_path.entry(path).or_default().push(finding);
        }
    }
    Ok(by_path.into_iter().map(|(path, findings)| FileFindings { path, findings }).collect())
}

/// Adds the findings of linters. Findings at the same place with the same message or fix are merged into the most
/// severe one.
pub fn merge(all: &mut Vec<FileFindings>, reported: Vec<FileFindings>) {
    let mut by_path: BTreeMap<String, Vec<Finding>> = all.drain(..).map(|file| (file.path, file.findings)).collect();
    for file in reported {
        by_path.entry(file.path).or_default().extend(file.findings);
    }
    all.extend(by_path.into_iter().map(|(path, mut findings)| {
        findings.sort_by_key(|finding| (finding.line, finding.column, Reverse(finding.severity)));
        findings.dedup_by(|second, first| second.is_same(first));
        FileFindings { path, findings }
    }));
}

struct LinterReport {
    /// With their paths.
    findings: Vec<(String, Finding)>,
    /// Sentences on what of the report was left out.
    skipped: Vec<String>,
    /// The number of files that the linter changed.
    changed: usize,
    /// The processes that it left running.
    leftovers: Vec<String>,
}

async fn run_linter(
    linter: &Linter,
    trial: &Trial<'_>,
    commit: &CommitFiles,
    changed_texts: &BTreeMap<String, String>,
    analysis: &dyn Analysis,
) -> Result<LinterReport, PhaseError> {
    // Linters report canonical paths, since they ask the system for their working directory.
    let canonical = |folder: &Folder| folder.path().canonicalize().map_err(|error| with_path(folder.path(), error));
    let (folder, top) = (trial.root()?, trial.top()?);
    let (root_path, top_path) = (canonical(&folder)?, canonical(&top)?);
    let mut shell = command::shell(&linter.run, &folder, &top_path);
    // Its standard error goes to the journal.
    shell.stderr(Stdio::inherit());
    let time = linter.timeout_ms.map_or(DEFAULT_TIME_LIMIT, Duration::from_millis);
    let limits = CommandLimits { time, output: OutputBound::AtMost(MAX_REPORT_BYTES) };
    let exit = match command::run(shell, None, limits, true).await {
        Ok(exit) => exit,
        Err(CommandError::TimedOut(_)) => return Err(LinterError::TimedOut(linter.name.clone(), time).into()),
        Err(CommandError::TooMuchOutput) => return Err(LinterError::TooMuchOutput(linter.name.clone()).into()),
        Err(CommandError::NotStarted(error) | CommandError::WaitFailed(error)) => {
            return Err(with_path(&root_path, error).into());
        }
    };
    // The report is about the files as they were before the linter changed any.
    let changed = trial.restore().await?;
    // The linter may have replaced the folders.
    let (folder, top) = (trial.root()?, trial.top()?);
    let committed = |path: &str| changed_texts.get(path).cloned().or_else(|| commit.text(path).ok());
    let is_wanted = |path: &str| commit.entry(path).is_some_and(TreeEntry::is_file) && analysis.path_filter().has(path);
    let text = |path: &str| match source_text::read(&folder, path) {
        _ if !is_wanted(path) => None,
        Ok(text) => Some(text),
        // Checked out in another encoding, with the same lines.
        Err(SkipReason::TextNotUtf8) => committed(path),
        Err(_) => None,
    };
    let exists = |path: &str| top.has_file(Path::new(path));
    let paths = ProjectPaths { root: &root_path, top: &top_path, exists: Some(&exists) };
    let log = String::from_utf8_lossy(&exit.stdout);
    let (mut reported, mut skipped) = sarif::read(&log, paths, text).map_err(|error| {
        let how = exit.status.to_string();
        LinterError::Report { name: linter.name.clone(), how, error }
    })?;
    adapt_edits(&mut reported, &mut skipped, |path| {
        TextForm::of(committed(path), source_text::read(&folder, path).ok())
    });
    let severe = reported.into_iter().filter(|finding| finding.severity >= analysis.min_severity());
    let findings = severe.map(|finding| to_finding(linter, finding, analysis)).collect();
    Ok(LinterReport { findings, skipped, changed, leftovers: exit.leftovers })
}

/// The finding with its path. Its rule gets the linter's name as a prefix.
fn to_finding(linter: &Linter, reported: SarifFinding, analysis: &dyn Analysis) -> (String, Finding) {
    let SarifFinding { path, line, column, rule, severity, message, edits } = reported;
    let rule = format!("{}/{rule}", linter.name);
    let safety = linter.fixes;
    let mut finding = Finding { line, column, rule, severity, message, edits, safety, is_withheld: false };
    if !analysis.is_verified() {
        finding.withhold_unverified();
    }
    (path, finding)
}

/// Translates edits of the checked-out texts to edits of the committed ones. A fix that cannot be translated is
/// dropped.
fn adapt_edits(reported: &mut [SarifFinding], skipped: &mut Vec<String>, form_of: impl Fn(&str) -> TextForm) {
    let mut forms: HashMap<String, TextForm> = HashMap::new();
    for finding in reported.iter_mut().filter(|finding| !finding.edits.is_empty()) {
        let path = &finding.path;
        let form = forms.entry(path.clone()).or_insert_with(|| form_of(path));
        if !form.adapt(&mut finding.edits) {
            skipped.push(format!("made no fix in {path}: git checks it out with another text than is committed"));
        }
    }
    skipped.dedup();
}

/// How the checked-out text of a file relates to the committed one.
enum TextForm {
    /// They are equal. `is_crlf`: all of their lines end with CRLF.
    Same { is_crlf: bool },
    /// The checked-out text, which is the value, has CRLF where the committed one has LF.
    LineEnds(String),
    /// Git converted the text in another way, such as to another encoding.
    Other,
}

impl TextForm {
    fn of(committed: Option<String>, checked_out: Option<String>) -> Self {
        match (committed, checked_out) {
            (Some(committed), Some(seen)) if committed == seen => Self::Same { is_crlf: is_crlf(&committed) },
            (Some(committed), Some(seen)) if seen.replace("\r\n", "\n") == committed => Self::LineEnds(seen),
            _ => Self::Other,
        }
    }

    /// Translates edits to the committed text. Returns false and removes them if that is not possible.
    fn adapt(&self, edits: &mut Vec<Edit>) -> bool {
        match self {
            Self::Same { is_crlf: false } => {}
            Self::Same { is_crlf: true } => {
                for edit in edits {
                    edit.text = edit.text.replace("\r\n", "\n").replace('\n', "\r\n");
                }
            }
            Self::LineEnds(seen) => {
                let offset = |at: usize| at - seen.match_indices("\r\n").take_while(|(cr, _)| *cr < at).count();
                for edit in edits {
                    edit.range = offset(edit.range.start)..offset(edit.range.end);
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
    fn edits_are_translated_to_the_committed_line_ends() {
        let (committed, seen) = ("a\nbc\nd\n", "a\r\nbc\r\nd\r\n");
        let form = TextForm::of(Some(committed.to_owned()), Some(seen.to_owned()));
        let edit = |range: std::ops::Range<usize>, text: &str| Edit { range, text: text.to_owned() };
        let mut edits = vec![edit(1..3, "\r\n\r\n"), edit(4..5, "x"), edit(7..8, "y\r\nz")];
        assert!(form.adapt(&mut edits));
        assert_eq!(edits, [edit(1..2, "\n\n"), edit(3..4, "x"), edit(5..6, "y\nz")]);
        let form = TextForm::of(Some("a\r\n".to_owned()), Some("a\r\n".to_owned()));
        let mut edits = vec![edit(0..1, "b\nc\r\nd")];
        assert!(form.adapt(&mut edits));
        assert_eq!(edits, [edit(0..1, "b\r\nc\r\nd")]);
        assert!(!TextForm::of(Some("a".to_owned()), None).adapt(&mut edits) && edits.is_empty());
    }
}
