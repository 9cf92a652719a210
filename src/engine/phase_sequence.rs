//! Runs the phases of one attempt in order: which run, which are skipped, and what is journaled of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::adoption::{AdoptedAttempt, AdoptedBackground};
use super::approval::{needs_approval, request_approval};
use super::attempt::Attempt;
use super::background::BackgroundCommands;
use super::earlier_phases::EarlierPhases;
use super::outcome::{AttemptOutcome, CommandOutcome, FinalWrite, PhaseResult};
use super::phase_report::PhaseReport;
use super::phase_runner::{PhaseEnd, PhaseRunner, ReadyCommand};
use super::prepared_attempt::{Beginning, NotPrepared, PreparedAttempt};
use super::variables::phase_variables;
use crate::journal::WriteError;
use crate::model::kinds::PhaseChange;
use crate::model::run::Phase;
use crate::model::{ApprovalDecision, FinalStatus, PhaseSpec, PhaseState, Timestamp};
use crate::store::Assignment;

/// What an earlier server has done of a phase.
#[derive(Clone, Copy, Debug, Default)]
struct BegunPhase {
    /// How long ago it has entered the phase, if it has.
    entered: Option<Duration>,
    /// How many executions of the command have ended.
    executions: u32,
}

/// How long a phase has been in progress, if an earlier server has entered it.
fn time_in_progress(phase: &Phase) -> Option<Duration> {
    let now = Timestamp::now();
    let is_entered = phase.state == PhaseState::Started;
    is_entered.then(|| Duration::from_millis(now.since(phase.started_at.unwrap_or(now))))
}

/// The phases of one attempt.
pub(super) struct PhaseSequence<'a> {
    pub(super) attempt: &'a Attempt,
    pub(super) background: &'a BackgroundCommands<'a>,
    pub(super) assignment: &'a Assignment,
}

impl<'a> PhaseSequence<'a> {
    /// Runs the phases that are left, beginning with what is `adopted` from an earlier server. `None` if the run now
    /// waits for an approval.
    ///
    /// # Errors
    /// The lease is lost, or the database's own.
    pub(super) async fn run(&self, adopted: Option<AdoptedAttempt>) -> Result<Option<FinalWrite<'a>>, WriteError> {
        let Assignment { run, pipeline, answer, .. } = self.assignment;
        let is_left = |phase: &Phase| matches!(phase.state, PhaseState::Pending | PhaseState::Started);
        let first = run.phases.iter().position(is_left);
        let is_adopted = adopted.is_some();
        let AdoptedAttempt { mut current, executions, background, usage } = adopted.unwrap_or_default();
        let first = first.unwrap_or(if is_adopted { run.phases.len() } else { 0 });
        let entered = run.phases.get(first).and_then(time_in_progress);
        // Checked before the attempt is prepared: an attempt that ends here needs no folders.
        if entered.is_none() && self.attempt.signals.is_cancelled() {
            return self.end_before(first, self.stopped().await?);
        }
        if let Some(ApprovalDecision { approved: false, by, .. }) = answer {
            return self.end_before(first, AttemptOutcome::rejected(by));
        }
        let beginning = Beginning { is_first: first == 0 && entered.is_none(), is_adopted, usage };
        let prepared = match PreparedAttempt::prepare(self.attempt, self.assignment, beginning).await? {
            Ok(prepared) => prepared,
            Err(NotPrepared::Stopped) => return Ok(self.end_early(first, entered, self.stopped().await?)),
            Err(NotPrepared::Failed(failure)) => {
                return Ok(self.end_early(first, entered, AttemptOutcome::failed(failure)));
            }
        };
        for AdoptedBackground { phase, left, rows } in background {
            self.background.keep(&phase, left, rows, &prepared.meter).await;
        }
        let mut earlier = EarlierPhases::load(self.attempt, run, pipeline, first).await?;
        // Earlier phases were carried over from another attempt, unless this attempt ran them before it waited for an
        // approval.
        let is_carried_over = first > 0 && answer.is_none();
        for (index, spec) in pipeline.phases.iter().enumerate().skip(first) {
            let rest = &pipeline.phases[index + 1..];
            let entered = entered.filter(|_| index == first);
            let begun = entered.map_or_else(BegunPhase::default, |_| BegunPhase { entered, executions });
            if entered.is_none() && self.attempt.signals.is_cancelled() {
                return self.end_before(index, self.stopped().await?);
            }
            if entered.is_none() && !earlier.lets_run(spec) {
                earlier.push(spec, PhaseState::Skipped);
                // Trailing phases that never run are written as skipped in the attempt's final write.
                if earlier.lets_any_run(rest) {
                    self.skip_phase(spec).await?;
                    continue;
                }
                return self.end_before(index, earlier.into_outcome());
            }
            let name: Arc<str> = spec.name.as_str().into();
            // An approval was given for the phase that the run resumes with.
            let is_asked = !is_adopted || run.phase.as_ref() == Some(&spec.name);
            let is_approved = entered.is_some() || index == first && answer.is_some() && is_asked;
            if !is_approved && needs_approval(self.attempt, spec, run, is_carried_over).await? {
                return request_approval(self.attempt, self.background, run, spec, name).await.map(|()| None);
            }
            let (outcome, report, mut result) =
                self.run_phase(&prepared, spec, &name, &earlier, begun, current.take()).await?;
            earlier.add_outputs(&report.outputs);
            if let Some(ending) = self.attempt_ending(&outcome, spec).await? {
                return Ok(Some(FinalWrite { outcome: ending, phase: Some(result), rest }));
            }
            let state = result.change.state;
            earlier.push(spec, state);
            let decides = state == PhaseState::Failed && !spec.continue_on_error && !earlier.has_failure();
            if state == PhaseState::Failed {
                result.failure = Some(outcome.failure(spec, report.error.as_deref()));
            }
            if decides && let Some(failure) = result.failure.clone() {
                earlier.set_failure(AttemptOutcome::failed(failure));
            }
            if !earlier.lets_any_run(rest) {
                // The final write has the same error for the attempt, if this phase decides it.
                result.failure.take_if(|_| decides);
                return Ok(Some(FinalWrite { outcome: earlier.into_outcome(), phase: Some(result), rest }));
            }
            self.end_phase(result, report.outputs).await?;
        }
        // Reached only without phases, and pipeline files without phases are refused.
        Ok(Some(FinalWrite { outcome: earlier.into_outcome(), phase: None, rest: &[] }))
    }

    /// The final write of an attempt that ends before the phase with this index.
    fn end_before(&self, index: usize, outcome: AttemptOutcome) -> Result<Option<FinalWrite<'a>>, WriteError> {
        let rest = self.assignment.pipeline.phases.get(index..).unwrap_or_default();
        Ok(Some(FinalWrite { outcome, phase: None, rest }))
    }

    /// The final write of an attempt that ends before its first phase, or in it if an earlier server has `entered` it.
    fn end_early(&self, first: usize, entered: Option<Duration>, outcome: AttemptOutcome) -> Option<FinalWrite<'a>> {
        let rest = self.assignment.pipeline.phases.get(first..).unwrap_or_default();
        let (phase, rest) = match (entered, rest.split_first()) {
            (Some(entered), Some((current, rest))) => {
                let duration_ms = u64::try_from(entered.as_millis()).ok();
                let (name, state) = (current.name.clone(), PhaseState::Failed);
                let change = PhaseChange { name, state, exit_code: None, signal: None, duration_ms, carried: false };
                (Some(PhaseResult { change, failure: None }), rest)
            }
            _ => (None, rest),
        };
        Some(FinalWrite { outcome, phase, rest })
    }

    async fn run_phase(
        &self,
        prepared: &PreparedAttempt,
        spec: &PhaseSpec,
        name: &Arc<str>,
        earlier: &EarlierPhases<'_>,
        begun: BegunPhase,
        adopted: Option<ReadyCommand>,
    ) -> Result<(CommandOutcome, PhaseReport, PhaseResult), WriteError> {
        let program = &self.attempt.state.options.program;
        let mut variables = phase_variables(&self.assignment.run, name, prepared, program);
        variables.extend(spec.env.iter().map(|(name, value)| (name.clone(), value.into())));
        variables.extend(earlier.outputs().iter().map(|(name, value)| (name.clone(), value.into())));
        variables.extend(prepared.secrets.variables(spec));
        let runner = PhaseRunner {
            attempt: self.attempt,
            prepared,
            background: self.background,
            spec,
            name,
            inherited_bytes: earlier.output_bytes(),
            entered: begun.entered,
            executions: begun.executions,
        };
        let PhaseEnd { outcome, report, took } = runner.run(variables, adopted).await?;
        let state = if outcome.is_success() { PhaseState::Completed } else { PhaseState::Failed };
        let duration_ms = Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        let (exit_code, signal) = (outcome.exit_code(), outcome.signal());
        let change = PhaseChange { name: spec.name.clone(), state, exit_code, signal, duration_ms, carried: false };
        Ok((outcome, report, PhaseResult { change, failure: None }))
    }

    /// The outcome of the attempt, if the command's outcome ends it whatever its other phases are.
    async fn attempt_ending(
        &self,
        outcome: &CommandOutcome,
        spec: &PhaseSpec,
    ) -> Result<Option<AttemptOutcome>, WriteError> {
        Ok(match outcome {
            CommandOutcome::Stopped => Some(self.stopped().await?),
            CommandOutcome::ServiceSignalled(signal) => Some(AttemptOutcome::service_signalled(signal)),
            // Later phases would have nothing left of the limit.
            CommandOutcome::Limited(..) => Some(AttemptOutcome::failed(outcome.failure(spec, None))),
            CommandOutcome::Exited(_) | CommandOutcome::TimedOut | CommandOutcome::NotStarted(_) => None,
        })
    }

    /// The outcome of an attempt that was stopped: cancelled, or interrupted by the server's shutdown.
    async fn stopped(&self) -> Result<AttemptOutcome, WriteError> {
        if !self.attempt.signals.is_cancelled() {
            let reason = format!("{} is stopping", self.attempt.state.options.owner);
            return Ok(AttemptOutcome { to: FinalStatus::Interrupted, reason, error: None });
        }
        // The database knows who cancelled the run. A write without a change reads that in its transaction.
        let asked = self.attempt.commit(self.attempt.append()).await?;
        Ok(AttemptOutcome::cancelled(asked.cancel_by.as_deref().unwrap_or("an operator")))
    }

    async fn skip_phase(&self, spec: &PhaseSpec) -> Result<(), WriteError> {
        let change = PhaseChange::skipped(spec.name.clone());
        self.end_phase(PhaseResult { change, failure: None }, BTreeMap::new()).await
    }

    async fn end_phase(&self, result: PhaseResult, outputs: BTreeMap<String, String>) -> Result<(), WriteError> {
        let mut write = self.attempt.append();
        result.add_to(&mut write, outputs);
        self.attempt.commit(write).await?;
        self.attempt.release_ended();
        Ok(())
    }
}
