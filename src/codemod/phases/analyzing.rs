//! The second phase: finds everything that rules and linters report.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::ErrorKind;

use super::super::analysis::Analysis;
use super::super::commit_files::CommitFiles;
use super::super::error::PhaseError;
use super::super::finding::{FileFindings, Finding};
use super::super::language;
use super::super::linter_runs;
use super::super::linters;
use super::super::parallel::in_order;
use super::super::phase_log::{PhaseLog, count};
use super::super::source_text::SkipReason;
use super::super::task::Task;
use super::super::trial::Trial;
use super::handover;
use super::unreadable::fail_if_damaged;
use crate::model::kinds;

/// Why fixes are left out.
pub const NEEDS_REVIEW: &str = "a fix marked review needs a check, or \"Ask before applying\"";

/// After this many unreadable files the phase gives up: the rest would fail the same way.
const MAX_UNREADABLE: usize = 10;

/// # Errors
/// [`PhaseError`].
pub async fn run(task: &Task, analysis: &mut dyn Analysis, log: &mut PhaseLog) -> Result<(), PhaseError> {
    let repositories = task.workspace.repositories()?;
    let commit = CommitFiles::of(&repositories).await?;
    analysis.prepare(&commit, None)?;
    let analysis = &*analysis;
    let mut paths: Vec<String> = task.workspace.load(handover::FILES)?;
    let mut all = analyze_files(&commit, analysis, &paths, log)?;
    let linters = linters::from_env()?;
    if !linters.is_empty() {
        let trial = Trial::open(&task.workspace, &repositories, &commit).await?;
        let reported = linter_runs::run_all(&linters, &trial, &commit, &BTreeMap::new(), analysis, log).await?;
        task.workspace.save(handover::LINTER_FINDINGS, &reported)?;
        linter_runs::merge(&mut all, reported);
        // Linters read files that no rule applies to.
        paths.extend(all.iter().map(|file| file.path.clone()));
        paths.sort_unstable();
        paths.dedup();
        task.workspace.save(handover::FILES, &paths)?;
    }
    report_findings(&all, paths.len(), log)?;
    Ok(task.workspace.save(handover::FINDINGS, &all)?)
}

fn analyze_files(
    commit: &CommitFiles,
    analysis: &dyn Analysis,
    paths: &[String],
    log: &mut PhaseLog,
) -> Result<Vec<FileFindings>, PhaseError> {
    let analyze = |path: &String| {
        let text = commit.text(path)?;
        let Some(grammar) = language::of(path) else { return Ok(Vec::new()) };
        if analysis.skips_generated(grammar, &text) {
            return Err(SkipReason::Generated);
        }
        Ok(analysis.analyze(grammar, path, &text))
    };
    let mut all = Vec::new();
    let (mut unreadable, mut generated) = (0, 0);
    let analyzed = in_order(paths, analyze, |done, path, result: Result<Vec<Finding>, SkipReason>| {
        match result {
            Err(SkipReason::Unreadable(_)) => {
                unreadable += 1;
                if unreadable == MAX_UNREADABLE {
                    return Err(ErrorKind::Interrupted.into());
                }
            }
            // Only counted: there may be thousands.
            Err(SkipReason::Generated) => generated += 1,
            Err(reason) => log.line(&format!("skipped {path}: {reason}"))?,
            Ok(findings) if findings.is_empty() => {}
            Ok(findings) => all.push(FileFindings { path: path.clone(), findings }),
        }
        log.progress(done, paths.len(), "files")
    });
    fail_if_damaged(commit)?;
    analyzed?;
    if generated > 0 {
        let files = count(generated, "file");
        log.line(&format!("skipped {files}: programs have written them, as their first comments say"))?;
    }
    Ok(all)
}

/// Reports the findings, the most severe first, and a summary.
fn report_findings(all: &[FileFindings], files: usize, log: &mut PhaseLog) -> Result<(), PhaseError> {
    let mut ranked: Vec<(&str, &Finding)> = Vec::new();
    for file in all {
        ranked.extend(file.findings.iter().map(|finding| (file.path.as_str(), finding)));
    }
    ranked.sort_by_key(|(_, finding)| Reverse(finding.severity));
    for (path, finding) in &ranked {
        log.finding(kinds::Finding {
            path: (*path).to_owned(),
            line: Some(finding.line),
            column: Some(finding.column),
            rule: finding.rule.clone(),
            severity: finding.severity.as_str().to_owned(),
            message: finding.message.clone(),
            fixable: finding.fix_safety().is_some(),
            fix: finding.fix_safety(),
        })?;
    }
    let fixable = ranked.iter().filter(|(_, finding)| finding.fix_safety().is_some()).count();
    let withheld = ranked.iter().filter(|(_, finding)| finding.is_withheld).count();
    let (findings, files) = (count(ranked.len(), "finding"), count(files, "file"));
    log.line(&format!("{findings} in {} of {files}, {fixable} of them fixable", all.len()))?;
    if withheld > 0 {
        log.line(&format!("left out {}: {NEEDS_REVIEW}", count(withheld, "fix")))?;
    }
    Ok(())
}
