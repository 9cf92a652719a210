//! The first phase: opens the repository and lists the files to read.

use std::collections::HashSet;

use super::super::analysis::Analysis;
use super::super::checkout::{Checkout, blob_of};
use super::super::commit_files::CommitFiles;
use super::super::error::PhaseError;
use super::super::files;
use super::super::git::parts;
use super::super::phase_log::{PhaseLog, count};
use super::super::task::Task;
use super::super::user_repository::UserRepository;
use super::super::workspace::Repositories;
use super::handover;
use super::unreadable::{checkout_error, fail_if_damaged, fail_if_missing, short_commit};

/// # Errors
/// [`PhaseError`].
pub async fn run(
    task: &Task,
    analysis: &mut dyn Analysis,
    needs_checkout: bool,
    log: &mut PhaseLog,
) -> Result<(), PhaseError> {
    let repository = UserRepository::open(&task.project, task.workspace.allowed()).await?;
    let branch = repository.branch.as_deref();
    let at = branch.map_or_else(|| "a detached head".to_owned(), |branch| format!("branch {branch}"));
    log.line(&format!("{}: commit {} ({at})", repository.top.path().display(), short_commit(&repository.head)))?;
    log.flush()?;
    if analysis.makes_commit() {
        // Fails now rather than after the analysis and a review.
        repository.check_branch(&task.branch()).await?;
    }
    let repositories = task.workspace.create_repositories(repository).await?;
    let commit = CommitFiles::of(&repositories).await?;
    // An index with extensions that only work in the user's repository cannot be compared; the hint is then left out.
    if let Ok(changed @ 1..) = repositories.own.count_changed(&repositories.users).await {
        let files = count(changed, "file");
        log.line(&format!("the commit is worked on, without changes in {files} that are not committed"))?;
    }
    for (path, _) in commit.entries().filter(|(_, entry)| entry.is_submodule()) {
        log.line(&format!("skipped {path}: a submodule"))?;
    }
    analysis.prepare(&commit, Some(log))?;
    let sources = files::find(&commit, &analysis.grammars(), analysis.path_filter());
    fail_if_damaged(&commit)?;
    let missing = commit.missing(sources.files.iter().map(String::as_str)).await?;
    fail_if_missing(&repositories, missing).await?;
    for (path, reason) in &sources.skipped {
        log.line(&format!("skipped {path}: {reason}"))?;
    }
    if needs_checkout {
        check_out(task, &repositories, log).await?;
    }
    log.progress(sources.files.len(), sources.files.len(), "files")?;
    Ok(task.workspace.save(handover::FILES, &sources.files)?)
}

/// Checks all files out and logs what the checkout lacks.
async fn check_out(task: &Task, repositories: &Repositories, log: &mut PhaseLog) -> Result<(), PhaseError> {
    let listing = repositories.own.list("".as_ref()).await?;
    let missing = repositories.own.missing(parts(&listing).filter_map(blob_of)).await?;
    if !missing.is_empty() {
        let missing: HashSet<String> = missing.into_iter().collect();
        let path = |line: &[u8]| {
            let path = line.splitn(2, |byte| *byte == b'\t').nth(1).unwrap_or_default();
            String::from_utf8_lossy(path).into_owned()
        };
        let lines = parts(&listing).filter(|line| blob_of(line).is_some_and(|object| missing.contains(object)));
        fail_if_missing(repositories, lines.map(path).collect()).await?;
    }
    log.line("checking all files out for the check and the linters")?;
    log.flush()?;
    let checkout = match Checkout::create(&task.workspace, repositories).await {
        Err(PhaseError::Git(error)) => return Err(checkout_error(repositories, &listing, error)),
        checkout => checkout?,
    };
    for missing in &checkout.missing {
        log.line(&format!("the checkout lacks {}: {}", missing.path, missing.reason))?;
    }
    Ok(log.flush()?)
}
