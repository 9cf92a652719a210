//! The attempts of a run: the parameters and the outcome of each.

use super::view::VIEW_FRAMES;
use super::{Backend, page_limit};
use crate::model::attempt::{Attempt, AttemptPage, AttemptView};
use crate::model::{FramePayload, Problem, ProblemCode};
use crate::store::RunKey;

/// Attempts on a page: by default, and at most.
const PAGE_ATTEMPTS: (u32, u32) = (100, 200);

/// A page of the attempts of a run, oldest first: the newest ones, or the newest before `before`.
///
/// # Errors
/// [`ProblemCode::RunNotFound`] for an unknown or deleted run, also if it was deleted during the read;
/// [`ProblemCode::BadRequest`] for a limit out of bounds; the database's errors.
pub async fn attempts(
    backend: &Backend,
    id: &str,
    before: Option<u32>,
    limit: Option<u32>,
) -> Result<AttemptPage, Problem> {
    let limit = page_limit(limit, PAGE_ATTEMPTS)?;
    let (run, _) = backend.find(id).await?;
    let attempts = backend.store.attempts(run, before, limit).await?;
    // The page of a run that was deleted during the read is incomplete.
    backend.find(id).await?;
    // Attempts are numbered from 1 without gaps.
    let next = attempts.first().map(|attempt| attempt.attempt).filter(|&first| first > 1);
    Ok(AttemptPage { attempts, next })
}

/// What the page of an attempt shows besides its frames.
///
/// # Errors
/// [`ProblemCode::RunNotFound`] for an unknown or deleted run, also if it was deleted during the read;
/// [`ProblemCode::NotFound`] if the run has no such attempt; the database's errors.
pub async fn attempt(backend: &Backend, id: &str, attempt: u32) -> Result<AttemptView, Problem> {
    let (run, _) = backend.find(id).await?;
    let attempt = find_attempt(backend, id, run, attempt).await?;
    let review_counts = backend.store.review_counts(run, attempt.attempt).await?;
    let after = attempt.last.saturating_sub(VIEW_FRAMES.into()).max(attempt.first - 1);
    let (frames, _) = backend.store.frames(run, after, VIEW_FRAMES).await?;
    let (mut outcome, mut excluded) = (None, Vec::new());
    for frame in frames.iter().filter(|frame| frame.seq <= attempt.last) {
        match &*frame.kind {
            "outcome" | "approval" => match frame.to_frame().payload {
                FramePayload::Outcome(reported) => outcome = Some(reported),
                FramePayload::Approval(approval) => excluded = approval.exclude,
                _ => {}
            },
            _ => {}
        }
    }
    // The frames of a run that was deleted during the read are incomplete.
    backend.find(id).await?;
    Ok(AttemptView { attempt, review_counts, outcome, excluded })
}

/// An attempt of the run with this id and key.
///
/// # Errors
/// [`ProblemCode::RunNotFound`] if the run was deleted since its key was read; [`ProblemCode::NotFound`] if it has no
/// such attempt; the database's errors.
pub async fn find_attempt(backend: &Backend, id: &str, run: RunKey, attempt: u32) -> Result<Attempt, Problem> {
    let found = backend.store.attempts(run, attempt.checked_add(1), 1).await?.pop();
    match found.filter(|found| found.attempt == attempt) {
        Some(found) => Ok(found),
        None => {
            backend.find(id).await?;
            Err(Problem::new(ProblemCode::NotFound, format!("The run has no attempt {attempt}.")))
        }
    }
}
