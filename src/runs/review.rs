//! What a person looks through: findings and patches. Changes nothing.

use std::collections::HashMap;

use super::{Service, bounded};
use crate::model::kinds::Patch;
use crate::model::review::{FindingEntry, FindingFilter, FindingPage, PatchContent, PatchEntry};
use crate::model::{Problem, ProblemCode};
use crate::patch;
use crate::store::{PatchSummary, StoredFindings};

/// How many findings may be asked for: if nothing is said, and at most.
const FINDINGS: (u32, u32) = (200, 5000);

/// About how many bytes of diffs come with the list of patches.
const SHOWN: usize = 96 * 1024;

impl Service {
    /// Findings of an attempt.
    ///
    /// # Errors
    /// [`ProblemCode::RunNotFound`], [`ProblemCode::BadRequest`] for a limit out of bounds; the database's own.
    pub async fn findings(
        &self,
        id: &str,
        attempt: u32,
        filter: &FindingFilter,
        limit: u32,
    ) -> Result<FindingPage, Problem> {
        let limit = bounded(Some(limit), FINDINGS)?;
        let (run, _) = self.find(id).await?;
        let StoredFindings { findings: found, total, rules, severities } =
            self.store.findings(run, attempt, filter, limit).await?;
        let patches = self.store.patches(run, attempt).await?;
        let patches: HashMap<&str, u64> = patches.iter().map(|patch| (patch.path.as_str(), patch.seq)).collect();
        let found = found.into_iter().map(|(seq, finding)| {
            let patch = patches.get(finding.path.as_str()).copied();
            FindingEntry { seq, finding, patch }
        });
        Ok(FindingPage { findings: found.collect(), total, rules, severities })
    }

    /// The patches of an attempt; the first ones in full.
    ///
    /// # Errors
    /// [`ProblemCode::RunNotFound`]; the database's own.
    pub async fn patches(&self, id: &str, attempt: u32) -> Result<Vec<PatchEntry>, Problem> {
        let (run, _) = self.find(id).await?;
        let mut entries = Vec::new();
        let mut size = 0;
        for PatchSummary { seq, path, added, removed, fix } in self.store.patches(run, attempt).await? {
            let mut shown = None;
            if size < SHOWN
                && let Some(patch) = self.store.patch(run, seq).await?
            {
                size += patch.diff.len();
                if size < SHOWN {
                    shown = Some(show(patch).await?);
                }
            }
            entries.push(PatchEntry { seq, path, added, removed, fix, shown });
        }
        Ok(entries)
    }

    /// One patch.
    ///
    /// # Errors
    /// [`ProblemCode::RunNotFound`], [`ProblemCode::NotFound`] if that frame is no patch; the database's own.
    pub async fn patch(&self, id: &str, seq: u64) -> Result<PatchContent, Problem> {
        let (run, _) = self.find(id).await?;
        let none = || Problem::new(ProblemCode::NotFound, format!("The run has no patch #{seq}."));
        show(self.store.patch(run, seq).await?.ok_or_else(none)?).await
    }
}

/// A patch for people. An agent may report what is no diff; then it is shown as it is.
async fn show(patch: Patch) -> Result<PatchContent, Problem> {
    // A large one takes a core for a moment, which streams are not to wait for.
    let shown = tokio::task::spawn_blocking(move || {
        let Patch { path, diff, added, removed, .. } = patch;
        match patch::view(&path, &diff, added, removed) {
            Ok(view) => PatchContent::View(view),
            Err(_) => PatchContent::Text(diff),
        }
    });
    shown.await.map_err(|error| Problem::new(ProblemCode::Internal, error.to_string()))
}
