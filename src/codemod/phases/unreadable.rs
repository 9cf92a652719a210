//! Fails a phase if files of the commit cannot be read.

use super::super::checkout::blob_of;
use super::super::commit_files::CommitFiles;
use super::super::error::{PhaseError, UnreadableFiles};
use super::super::git::{GitError, parts};
use super::super::workspace::Repositories;

/// Fails if git could not read a file that was requested so far.
///
/// # Errors
/// [`PhaseError::Unreadable`].
pub fn fail_if_damaged(files: &CommitFiles) -> Result<(), PhaseError> {
    let unreadable = files.unreadable();
    let Some((path, reason)) = unreadable.first() else { return Ok(()) };
    let (first, folder) = (format!("{path}: {reason}"), files.folder().to_owned());
    Err(UnreadableFiles::Damaged { files: unreadable.len(), first, folder }.into())
}

/// Fails if the list of missing files is not empty.
///
/// # Errors
/// [`PhaseError::Unreadable`].
pub async fn fail_if_missing(repositories: &Repositories, paths: Vec<String>) -> Result<(), PhaseError> {
    if paths.is_empty() {
        return Ok(());
    }
    let folder = repositories.users.top.path().to_owned();
    let commit = short_commit(&repositories.users.head).to_owned();
    Err(match repositories.users.is_partial_clone().await {
        true => UnreadableFiles::PartialClone { paths, commit, folder },
        false => UnreadableFiles::Missing { paths, commit, folder },
    }
    .into())
}

/// The error of a checkout that git could not make, with the path of the object that git's message names.
pub fn checkout_error(repositories: &Repositories, listing: &[u8], error: GitError) -> PhaseError {
    let message = error.to_string();
    let named = parts(listing).find(|line| blob_of(line).is_some_and(|object| message.contains(object)));
    let Some(path) = named.and_then(|line| line.splitn(2, |byte| *byte == b'\t').nth(1)) else { return error.into() };
    let last_line = message.lines().last().unwrap_or_default();
    let first = format!("{}: {last_line}", String::from_utf8_lossy(path));
    UnreadableFiles::Damaged { files: 1, first, folder: repositories.users.top.path().to_owned() }.into()
}

/// The abbreviated name of a commit.
pub fn short_commit(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}
