//! Asks a person before a phase. The run then has no worker and no expiring lease until the approval is decided.

use std::sync::Arc;

use super::attempt::Attempt;
use super::background::BackgroundCommands;
use crate::journal::WriteError;
use crate::model::kinds::{Approval, ApprovalState};
use crate::model::{ApprovalRule, FramePayload, PhaseSpec, Run};
use crate::store::{NewFrame, RequestApproval, RunWrite};

/// Whether a phase needs an approval. `is_carried_over`: earlier phases ran in earlier attempts.
///
/// # Errors
/// The database's own.
pub(super) async fn needs_approval(
    attempt: &Attempt,
    spec: &PhaseSpec,
    run: &Run,
    is_carried_over: bool,
) -> Result<bool, WriteError> {
    let mut patches = 0;
    if matches!(spec.approval, ApprovalRule::If(_)) {
        // Phases that were carried over reported their patches in an earlier attempt. Counting too many only asks once
        // more.
        let from = if is_carried_over { 1 } else { attempt.lease.attempt };
        for number in from..=attempt.lease.attempt {
            patches += attempt.read(|| attempt.state.store.review_counts(attempt.lease.run, number)).await?.patches;
        }
    }
    Ok(spec.approval.is_required(&run.params, patches))
}

/// Writes the question and gives up the lease.
///
/// # Errors
/// The lease is lost already, or the database's own.
pub(super) async fn request_approval(
    attempt: &Attempt,
    background: &BackgroundCommands<'_>,
    run: &Run,
    spec: &PhaseSpec,
    phase: Arc<str>,
) -> Result<(), WriteError> {
    // Nothing supervises background commands while the run has no worker.
    background.end().await?;
    attempt.end_commands(run).await;
    let question = spec.approval_question();
    let asked = Approval {
        question: question.clone(),
        state: ApprovalState::Waiting,
        by: None,
        exclude: Vec::new(),
        note: None,
    };
    let mut write = RunWrite::new(RequestApproval { lease: attempt.lease, phase: Arc::clone(&phase), question });
    write.frames.push(NewFrame::now(Some(phase), &FramePayload::Approval(asked)));
    attempt.commit(write).await.map(drop)
}
