//! The attempts of a run: what was asked of each, and what became of it. Changes nothing.

use super::{Service, TAIL, bounded};
use crate::model::attempt::{Attempt, AttemptPage, AttemptView};
use crate::model::{FramePayload, Problem, ProblemCode};
use crate::store::RunKey;

/// Attempts a page of them holds if nothing else is asked for, and the most that may be asked for.
const ATTEMPTS: (u32, u32) = (100, 200);

impl Service {
    /// Attempts of a run, oldest first: the newest ones, or the newest before `before`.
    ///
    /// # Errors
    /// [`ProblemCode::RunNotFound`], [`ProblemCode::BadRequest`] for a limit out of bounds; the database's own.
    pub async fn attempts(&self, id: &str, before: Option<u32>, limit: Option<u32>) -> Result<AttemptPage, Problem> {
        let limit = bounded(limit, ATTEMPTS)?;
        let (run, _) = self.find(id).await?;
        let attempts = self.store.attempts(run, before, limit).await?;
        // Of a run that was deleted meanwhile there may have been fewer to read than there were.
        self.find(id).await?;
        // They are numbered from 1 without gaps.
        let next = attempts.first().map(|attempt| attempt.attempt).filter(|&first| first > 1);
        Ok(AttemptPage { attempts, next })
    }

    /// What the page shows of an attempt besides its frames.
    ///
    /// # Errors
    /// [`ProblemCode::RunNotFound`], [`ProblemCode::NotFound`] if the run has no such attempt; the database's own.
    pub async fn attempt(&self, id: &str, attempt: u32) -> Result<AttemptView, Problem> {
        let (run, _) = self.find(id).await?;
        let attempt = self.attempt_of(id, run, attempt).await?;
        let review_counts = self.store.review_counts(run, attempt.attempt).await?;
        let after = attempt.last.saturating_sub(TAIL.into()).max(attempt.first - 1);
        let (frames, _) = self.store.frames(run, after, TAIL).await?;
        let (mut outcome, mut excluded) = (None, Vec::new());
        for frame in frames.iter().filter(|frame| frame.seq <= attempt.last) {
            match &*frame.kind {
                "outcome" | "approval" => match frame.to_frame().payload {
                    FramePayload::Outcome(told) => outcome = Some(told),
                    FramePayload::Approval(told) => excluded = told.exclude,
                    _ => {}
                },
                _ => {}
            }
        }
        // As above.
        self.find(id).await?;
        Ok(AttemptView { attempt, review_counts, outcome, excluded })
    }

    /// An attempt of the run with this id, which was found by this key.
    ///
    /// # Errors
    /// [`ProblemCode::RunNotFound`] if it was deleted meanwhile, [`ProblemCode::NotFound`] if it has no such attempt; the database's own.
    pub(super) async fn attempt_of(&self, id: &str, run: RunKey, attempt: u32) -> Result<Attempt, Problem> {
        let found = self.store.attempts(run, attempt.checked_add(1), 1).await?.pop();
        match found.filter(|found| found.attempt == attempt) {
            Some(found) => Ok(found),
            None => {
                self.find(id).await?;
                Err(Problem::new(ProblemCode::NotFound, format!("The run has no attempt {attempt}.")))
            }
        }
    }
}
