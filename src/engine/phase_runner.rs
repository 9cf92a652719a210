//! Runs one phase: its command, and the retries that its pipeline allows.

use std::sync::Arc;

use futures::FutureExt;

use super::attempt::Attempt;
use super::background::BackgroundCommands;
use super::command::launcher::{CommandSpec, Privileges, Variables};
use super::command_runner::{CommandProgress, CommandRunner, OutputJournaling, WAITING_TO_START, limited};
use super::outcome::CommandOutcome;
use super::output::journal_outputs;
use super::phase_report::{PhaseReport, SharedReport};
use super::prepared_attempt::PreparedAttempt;
use super::shortage_retry::{RetryResult, retry_while_short};
use crate::confined_fs::Folder;
use crate::journal::WriteError;
use crate::model::{FramePayload, PhaseSpec};
use crate::store::NewFrame;

/// One phase of an attempt.
pub(super) struct PhaseRunner<'a> {
    pub(super) attempt: &'a Attempt,
    pub(super) prepared: &'a PreparedAttempt,
    pub(super) background: &'a BackgroundCommands<'a>,
    pub(super) spec: &'a PhaseSpec,
    pub(super) name: &'a Arc<str>,
    /// How many bytes of outputs earlier phases have passed on.
    pub(super) inherited_bytes: usize,
}

impl PhaseRunner<'_> {
    /// Runs the phase's command, and again as long as it fails and its retries last. Returns the outcome and the report
    /// of the last execution.
    ///
    /// # Errors
    /// The lease is lost, or the database's own.
    pub(super) async fn run_with_retries(
        &self,
        mut variables: Variables,
    ) -> Result<(CommandOutcome, PhaseReport), WriteError> {
        let folder = match self.prepared.work_folder.open_subfolder(&self.spec.dir).await {
            Ok(folder) => folder,
            Err(error) => return Ok((CommandOutcome::NotStarted(error), PhaseReport::default())),
        };
        let mut executions = 0;
        loop {
            executions += 1;
            variables.insert("RUNTRAIL_TRY".to_owned(), executions.to_string().into());
            let (outcome, report) = self.run_once(variables.clone(), &folder).await?;
            if outcome.is_success() || outcome.ends_attempt() {
                return Ok((outcome, report));
            }
            let Some(delay) = self.spec.retries.next_delay(executions, outcome.exit_code()) else {
                return Ok((outcome, report));
            };
            let mut failure = outcome.failure(self.spec, report.error.as_deref());
            let (all, next) = (self.spec.retries.times, humantime::format_duration(delay));
            failure.message += &format!("; retry {executions} of {all} in {next}");
            failure.retryable = true;
            let mut write = self.attempt.append();
            write.frames.push(NewFrame::now(Some(Arc::clone(self.name)), &FramePayload::Error(failure)));
            self.attempt.commit(write).await?;
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                limit = self.prepared.meter.reached() => return Ok((limited(&self.prepared.meter, limit), report)),
                () = self.attempt.signals.stopping() => return Ok((CommandOutcome::Stopped, report)),
            }
        }
    }

    /// Runs the phase's command once.
    async fn run_once(
        &self,
        variables: Variables,
        folder: &Folder,
    ) -> Result<(CommandOutcome, PhaseReport), WriteError> {
        let (attempt, spec, name, meter) = (self.attempt, self.spec, self.name, &self.prepared.meter);
        if attempt.signals.is_stopping() {
            return Ok((CommandOutcome::Stopped, PhaseReport::default()));
        }
        let start = || {
            std::future::ready(attempt.state.options.commands.start(CommandSpec {
                run: &spec.run,
                folder,
                variables: variables.clone(),
                output: spec.output,
                background: spec.background,
                confinement: Some(&self.prepared.confinement),
                privileges: if spec.gain_privileges { Privileges::MayGain } else { Privileges::Restricted },
            }))
        };
        let (command, outputs) = match retry_while_short(attempt, Some(name), WAITING_TO_START, start).await? {
            RetryResult::Done(Ok(started)) => started,
            RetryResult::Done(Err(error)) => return Ok((CommandOutcome::NotStarted(error), PhaseReport::default())),
            RetryResult::Stopped => return Ok((CommandOutcome::Stopped, PhaseReport::default())),
        };
        let report = SharedReport::new(PhaseReport { inherited_bytes: self.inherited_bytes, ..PhaseReport::default() });
        let journaling = journal_outputs(outputs, &attempt.state.journal, attempt.lease, name, &report, meter);
        let runner = CommandRunner {
            attempt,
            background: self.background,
            meter,
            spec,
            phase: name,
            command,
            journaling: OutputJournaling::new(journaling.boxed()),
            progress: CommandProgress::default(),
        };
        let (outcome, command) = runner.run().await?;
        if outcome.is_success() && spec.background {
            self.background.keep(name, command, meter).await;
        }
        let report = std::mem::take(&mut *report.lock());
        Ok((outcome, report))
    }
}
