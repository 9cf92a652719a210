//! The results of the phases before the current one: their states, their outputs, and the failure that decides the
//! attempt.

use std::collections::HashMap;

use super::attempt::Attempt;
use super::command::report::Exit;
use super::outcome::{AttemptOutcome, CommandOutcome};
use crate::journal::WriteError;
use crate::model::kinds::Output;
use crate::model::plan::{self, PhaseOutcome};
use crate::model::{FramePayload, PhaseSpec, PhaseState, Pipeline, Run};
use crate::store::Lease;

/// The phases that have ended, in the order of the pipeline.
pub(super) struct EarlierPhases<'a> {
    outcomes: Vec<PhaseOutcome<'a>>,
    /// Their outputs as variables for later phases.
    outputs: HashMap<String, String>,
    /// The outcome of the attempt, if one of them failed: that of the first that did.
    failure: Option<AttemptOutcome>,
}

impl<'a> EarlierPhases<'a> {
    /// Loads the phases before `first` from the run and its journal.
    ///
    /// # Errors
    /// The database's own.
    pub(super) async fn load(
        attempt: &Attempt,
        run: &Run,
        pipeline: &'a Pipeline,
        first: usize,
    ) -> Result<Self, WriteError> {
        let states = run.phases.iter().map(|phase| phase.state);
        let outcomes: Vec<PhaseOutcome<'a>> =
            pipeline.phases.iter().zip(states).take(first).map(|(spec, state)| PhaseOutcome { spec, state }).collect();
        let outputs = load_outputs(attempt, &outcomes).await?;
        let failure = failed_before(attempt, run, &outcomes).await?;
        Ok(Self { outcomes, outputs, failure })
    }

    /// Whether a phase has to run after these.
    pub(super) fn lets_run(&self, spec: &PhaseSpec) -> bool {
        plan::should_run(spec, &self.outcomes)
    }

    /// Whether any of the phases after these has to run.
    pub(super) fn lets_any_run(&self, rest: &'a [PhaseSpec]) -> bool {
        plan::any_should_run(rest, &self.outcomes)
    }

    pub(super) fn push(&mut self, spec: &'a PhaseSpec, state: PhaseState) {
        self.outcomes.push(PhaseOutcome { spec, state });
    }

    pub(super) fn outputs(&self) -> &HashMap<String, String> {
        &self.outputs
    }

    /// How many bytes the outputs take in the environment of a command.
    pub(super) fn output_bytes(&self) -> usize {
        self.outputs.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// Adds outputs that a phase has reported.
    pub(super) fn add_outputs<'o>(&mut self, outputs: impl IntoIterator<Item = (&'o String, &'o String)>) {
        self.outputs.extend(outputs.into_iter().map(|(name, value)| (Output::variable(name), value.clone())));
    }

    pub(super) fn has_failure(&self) -> bool {
        self.failure.is_some()
    }

    pub(super) fn set_failure(&mut self, failure: AttemptOutcome) {
        self.failure = Some(failure);
    }

    /// The outcome of an attempt that ends after these phases.
    pub(super) fn into_outcome(self) -> AttemptOutcome {
        self.failure.unwrap_or_else(AttemptOutcome::completed)
    }
}

async fn load_outputs(attempt: &Attempt, earlier: &[PhaseOutcome<'_>]) -> Result<HashMap<String, String>, WriteError> {
    if earlier.is_empty() {
        return Ok(HashMap::new());
    }
    let Lease { run, attempt: number, .. } = attempt.lease;
    let all = attempt.read(|| attempt.state.store.outputs(run, number)).await?;
    let outputs = all.into_iter().flat_map(|(_, outputs)| outputs);
    Ok(outputs.map(|(name, value)| (Output::variable(&name), value)).collect())
}

/// Why the attempt fails, if a phase has failed before it was resumed: the error frame that follows the phase's last
/// frame.
async fn failed_before(
    attempt: &Attempt,
    run: &Run,
    earlier: &[PhaseOutcome<'_>],
) -> Result<Option<AttemptOutcome>, WriteError> {
    let fails = |outcome: &PhaseOutcome<'_>| plan::has_failed(std::slice::from_ref(outcome));
    let Some(index) = earlier.iter().position(fails) else { return Ok(None) };
    let (spec, phase) = (earlier[index].spec, &run.phases[index]);
    let (store, Lease { run, attempt: number, .. }) = (&attempt.state.store, attempt.lease);
    let attempts = attempt.read(|| store.attempts(run, number.checked_add(1), 1)).await?;
    let last = attempts.first().and_then(|attempt| attempt.phases.get(index)?.last);
    let next = match last {
        Some(seq) => attempt.read(|| store.frames(run, seq, 1)).await?.0.pop(),
        None => None,
    };
    let error = next.filter(|frame| frame.phase.as_deref() == Some(&spec.name)).map(|frame| frame.to_frame().payload);
    Ok(Some(AttemptOutcome::failed(match error {
        Some(FramePayload::Error(failure)) => failure,
        // An earlier version of the server wrote no such frame.
        _ => CommandOutcome::Exited(phase.exit_code.map(Exit::with_code)).failure(spec, None),
    })))
}
