//! What a person reviews: the findings and patches of an attempt.

use std::collections::HashMap;

use super::{Backend, page_limit};
use crate::model::kinds::Patch;
use crate::model::review::{FindingEntry, FindingFilter, FindingPage, PatchContent, PatchEntry};
use crate::model::{Problem, ProblemCode};
use crate::patch;
use crate::store::{PatchSummary, StoredFindings};

/// Findings on a page: by default, and at most.
const PAGE_FINDINGS: (u32, u32) = (200, 5000);

/// About how many bytes of diffs the list of patches contains.
const MAX_LISTED_DIFF_BYTES: usize = 96 * 1024;

/// The findings of an attempt that match the filter; none for an attempt that the run does not have.
///
/// # Errors
/// [`ProblemCode::RunNotFound`] for an unknown or deleted run; [`ProblemCode::BadRequest`] for a limit out of bounds;
/// the database's errors.
pub async fn findings(
    backend: &Backend,
    id: &str,
    attempt: u32,
    filter: &FindingFilter,
    limit: u32,
) -> Result<FindingPage, Problem> {
    let limit = page_limit(Some(limit), PAGE_FINDINGS)?;
    let (run, _) = backend.find(id).await?;
    let StoredFindings { findings: found, total, rules, severities } =
        backend.store.findings(run, attempt, filter, limit).await?;
    let patches = backend.store.patches(run, attempt).await?;
    let patches: HashMap<&str, u64> = patches.iter().map(|patch| (patch.path.as_str(), patch.seq)).collect();
    let found = found.into_iter().map(|(seq, finding)| {
        let patch = patches.get(finding.path.as_str()).copied();
        FindingEntry { seq, finding, patch }
    });
    Ok(FindingPage { findings: found.collect(), total, rules, severities })
}

/// The patches of an attempt, the first ones with their diffs; none for an attempt that the run does not have.
///
/// # Errors
/// [`ProblemCode::RunNotFound`] for an unknown or deleted run; the database's errors.
pub async fn patches(backend: &Backend, id: &str, attempt: u32) -> Result<Vec<PatchEntry>, Problem> {
    let (run, _) = backend.find(id).await?;
    let mut entries = Vec::new();
    let mut size = 0;
    for PatchSummary { seq, path, added, removed, fix } in backend.store.patches(run, attempt).await? {
        let mut shown = None;
        if size < MAX_LISTED_DIFF_BYTES
            && let Some(patch) = backend.store.patch(run, seq).await?
        {
            size += patch.diff.len();
            if size < MAX_LISTED_DIFF_BYTES {
                shown = Some(render(patch).await?);
            }
        }
        entries.push(PatchEntry { seq, path, added, removed, fix, shown });
    }
    Ok(entries)
}

/// One patch, by the seq of its frame.
///
/// # Errors
/// [`ProblemCode::RunNotFound`] for an unknown or deleted run; [`ProblemCode::NotFound`] if that frame is not a patch;
/// the database's errors.
pub async fn patch(backend: &Backend, id: &str, seq: u64) -> Result<PatchContent, Problem> {
    let (run, _) = backend.find(id).await?;
    let none = || Problem::new(ProblemCode::NotFound, format!("The run has no patch #{seq}."));
    render(backend.store.patch(run, seq).await?.ok_or_else(none)?).await
}

/// Renders a patch. An agent may report a text that is not a diff; it is shown unchanged.
async fn render(patch: Patch) -> Result<PatchContent, Problem> {
    // A large diff takes a core for a moment, and must not block the threads that serve streams.
    let shown = tokio::task::spawn_blocking(move || {
        let Patch { path, diff, added, removed, .. } = patch;
        match patch::view(&path, &diff, added, removed) {
            Ok(view) => PatchContent::View(view),
            Err(_) => PatchContent::Text(diff),
        }
    });
    shown.await.map_err(|error| Problem::new(ProblemCode::Internal, error.to_string()))
}
