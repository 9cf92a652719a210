//! How a server wins a run: by one conditional write, which at most one server can commit.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::attempt::Attempt;
use super::clock::later;
use super::state::EngineState;
use crate::journal::WriteError;
use crate::model::Transition;
use crate::store::{ClaimRun, NewFrame, ResumeRun, RunKey, RunWrite};

/// Claims a pending run. `None` if it is no longer pending: another server has claimed it, or it was cancelled or
/// deleted.
///
/// # Errors
/// The database's own.
pub(super) async fn claim_run(
    state: &Arc<EngineState>,
    run: RunKey,
    attempt: u32,
    shutdown: CancellationToken,
) -> Result<Option<Attempt>, WriteError> {
    let (owner, claimant) = (state.options.owner.clone(), state.options.claimant.clone());
    let reason = format!("started on {owner}");
    let lease_until = later(state.store.now(), state.options.lease);
    let mut claim = RunWrite::new(ClaimRun { run, attempt, owner, claimant, lease_until });
    claim.frames.push(NewFrame::status(Transition::Claim, reason));
    match state.journal.write(claim).await {
        Ok(won) => Ok(Some(Attempt::new(state, attempt, &won, shutdown))),
        Err(WriteError::Refused) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Takes up a run whose approval was decided. `None` if another server has.
///
/// # Errors
/// The database's own.
pub(super) async fn resume_run(
    state: &Arc<EngineState>,
    run: RunKey,
    attempt: u32,
    shutdown: CancellationToken,
) -> Result<Option<Attempt>, WriteError> {
    let lease_until = later(state.store.now(), state.options.lease);
    let (owner, claimant) = (state.options.owner.clone(), state.options.claimant.clone());
    let resume = ResumeRun { run, attempt, owner, claimant, lease_until };
    match state.journal.write(RunWrite::new(resume)).await {
        Ok(won) => Ok(Some(Attempt::new(state, attempt, &won, shutdown))),
        Err(WriteError::Refused) => Ok(None),
        Err(error) => Err(error),
    }
}
