//! The last phase: commits the patches to a new branch.

use super::super::analysis::Analysis;
use super::super::commit_files::{CommitFiles, TreeEntry};
use super::super::error::PhaseError;
use super::super::finding::FileFindings;
use super::super::patches::RewrittenFile;
use super::super::phase_log::{PhaseLog, count};
use super::super::task::Task;
use super::super::workspace::Repositories;
use super::analyzing::NEEDS_REVIEW;
use super::handover;
use crate::model::kinds::Outcome;

/// The patches without those that the approver excluded, and whether there were any.
///
/// # Errors
/// [`PhaseError`].
pub fn approved_patches(task: &Task, log: &mut PhaseLog) -> Result<(Vec<RewrittenFile>, bool), PhaseError> {
    let mut patches: Vec<RewrittenFile> = task.workspace.load(handover::PATCHES)?;
    let excluded = task.workspace.answer().map_or(&[][..], |answer| &answer.exclude);
    for path in excluded {
        log.line(&format!("left {path} as it is: its patch was left out"))?;
    }
    patches.retain(|patch| !excluded.contains(&patch.path));
    Ok((patches, !excluded.is_empty()))
}

/// # Errors
/// [`PhaseError`].
pub async fn run(
    task: &Task,
    analysis: &dyn Analysis,
    patches: Vec<RewrittenFile>,
    has_excluded: bool,
    log: &mut PhaseLog,
) -> Result<(), PhaseError> {
    let repositories = task.workspace.repositories()?;
    let files = task.workspace.load::<Vec<String>>(handover::FILES)?.len();
    let all: Vec<FileFindings> = task.workspace.load(handover::FINDINGS)?;
    let findings = all.iter().map(|file| file.findings.len()).sum::<usize>();
    let fixed = patches.iter().map(|patch| patch.fixed).sum::<usize>();
    let withheld = all.iter().flat_map(|file| &file.findings).filter(|finding| finding.is_withheld).count();
    let mut outcome = Outcome {
        message: String::new(),
        files: files as u64,
        findings: findings as u64,
        fixed: fixed as u64,
        left: (findings - fixed) as u64,
        branch: None,
        commit: None,
        base: Some(repositories.users.head.clone()),
    };
    if patches.is_empty() && has_excluded {
        outcome.message =
            "Nothing changes: every patch was left out, or failed the check without the others.".to_owned();
    } else if patches.is_empty() {
        outcome.message = analysis.unchanged_message(files, findings);
    } else if analysis.is_dry_run() {
        let (patches, findings) = (count(patches.len(), "patch"), count(findings, "finding"));
        outcome.message = format!("A dry run: {patches} would fix {fixed} of {findings}.");
        (outcome.fixed, outcome.left) = (0, outcome.findings);
    } else {
        let message = analysis.commit_message(fixed, patches.len());
        let (branch, commit) = commit_patches(task, &repositories, &message, &patches).await?;
        let (findings, files) = (count(findings, "finding"), count(patches.len(), "file"));
        outcome.message = format!("{fixed} of {findings} fixed in {files}, on branch {branch}.");
        (outcome.branch, outcome.commit) = (Some(branch), Some(commit));
    }
    if withheld > 0 {
        outcome.message += &format!(" {} left out: {NEEDS_REVIEW}.", count(withheld, "fix"));
    }
    Ok(log.outcome(outcome)?)
}

/// Commits the files and creates the branch; the names of both.
async fn commit_patches(
    task: &Task,
    repositories: &Repositories,
    message: &str,
    patches: &[RewrittenFile],
) -> Result<(String, String), PhaseError> {
    let trailers = format!("Runtrail-Run: {}\nRuntrail-Attempt: {}\n", task.run, task.attempt);
    let message = format!("{message}\n\n{trailers}");
    let commit = CommitFiles::of(repositories).await?;
    let mode = |path: &str| commit.entry(path).map_or("100644", |entry: &TreeEntry| entry.mode.as_str());
    let path = |path: &str| repositories.users.prefix.join(path);
    let files: Vec<_> =
        patches.iter().map(|patch| (mode(&patch.path), path(&patch.path), patch.text.as_str())).collect();
    let commit = repositories.own.commit(&repositories.users, &files, &message).await?;
    let branch = task.branch();
    repositories.users.create_branch(&branch, &commit).await?;
    Ok((branch, commit))
}
