//! How a server wins a run: by one conditional write, which at most one server can commit.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::attempt::Attempt;
use super::clock::later;
use super::state::EngineState;
use crate::journal::WriteError;
use crate::model::{Timestamp, Transition};
use crate::store::{AdoptRun, ClaimRun, NewFrame, ResumeRun, RunKey, RunWrite};

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
    let owner = state.options.owner.clone();
    let reason = format!("started on {owner}");
    let lease_until = later(Timestamp::wall(), state.options.lease);
    let hands_over = state.hands_over();
    let mut claim = RunWrite::new(ClaimRun { run, attempt, owner, lease_until, hands_over });
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
    let lease_until = later(Timestamp::wall(), state.options.lease);
    let hands_over = state.hands_over();
    let resume = ResumeRun { run, attempt, owner: state.options.owner.clone(), lease_until, hands_over };
    match state.journal.write(RunWrite::new(resume)).await {
        Ok(won) => Ok(Some(Attempt::new(state, attempt, &won, shutdown))),
        Err(WriteError::Refused) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Takes over a running run of an earlier server. `None` if it has ended, or another server has taken it over.
///
/// # Errors
/// The database's own.
pub(super) async fn adopt_run(
    state: &Arc<EngineState>,
    run: RunKey,
    attempt: u32,
    token: i64,
    shutdown: CancellationToken,
) -> Result<Option<Attempt>, WriteError> {
    let (owner, hands_over) = (state.options.owner.clone(), state.hands_over());
    let lease_until = later(Timestamp::wall(), state.options.lease);
    let adopt = AdoptRun { run, attempt, token, owner, lease_until, hands_over };
    match state.journal.write(RunWrite::new(adopt)).await {
        Ok(won) => Ok(Some(Attempt::new(state, attempt, &won, shutdown))),
        Err(WriteError::Refused) => Ok(None),
        Err(error) => Err(error),
    }
}
