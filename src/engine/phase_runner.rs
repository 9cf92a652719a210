//! Runs one phase: its command, and the retries that its pipeline allows.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::time::Instant;

use super::attempt::Attempt;
use super::background::BackgroundCommands;
use super::command::launcher::{CommandSpec, OutputForm, Privileges, StartedCommand, Variables};
use super::command::shortage::Transient;
use super::command_runner::{CommandProgress, CommandRunner, OutputJournaling, WAITING_TO_START, limited};
use super::outcome::CommandOutcome;
use super::output::OutputJournal;
use super::phase_report::{PhaseReport, SharedReport};
use super::prepared_attempt::PreparedAttempt;
use super::row_frames::RowFrames;
use super::shortage_retry::{RetryResult, retry_while_short};
use crate::confined_fs::Folder;
use crate::journal::WriteError;
use crate::model::kinds::PhaseChange;
use crate::model::{FramePayload, PhaseSpec, PhaseState};
use crate::store::{AppendFrames, EnterPhase, NewFrame, NewSupervisor, NextExecution, RunWrite, SupervisorUpdate};

/// One phase of an attempt.
pub(super) struct PhaseRunner<'a> {
    pub(super) attempt: &'a Attempt,
    pub(super) prepared: &'a PreparedAttempt,
    pub(super) background: &'a BackgroundCommands<'a>,
    pub(super) spec: &'a PhaseSpec,
    pub(super) name: &'a Arc<str>,
    /// How many bytes of outputs earlier phases have passed on.
    pub(super) inherited_bytes: usize,
    /// How long the phase has been in progress, if an earlier server has entered it.
    pub(super) entered: Option<Duration>,
    /// How many executions of its command have ended.
    pub(super) executions: u32,
}

/// A command that is ready to begin, or that another server has begun, with what is journaled of it.
pub(super) struct ReadyCommand {
    pub(super) started: StartedCommand,
    /// Where its rows are in the journal.
    pub(super) rows: RowFrames,
    pub(super) report: PhaseReport,
    /// The offset up to which its records are journaled.
    pub(super) offset: u64,
}

/// The end of a phase.
pub(super) struct PhaseEnd {
    pub(super) outcome: CommandOutcome,
    pub(super) report: PhaseReport,
    /// How long it has taken.
    pub(super) took: Duration,
}

impl PhaseRunner<'_> {
    /// Runs the phase's command, and again as long as it fails and its retries last. Returns the outcome and the report
    /// of the last execution. With `adopted` the first execution is one of an earlier server.
    ///
    /// # Errors
    /// The lease is lost, or the database's own.
    pub(super) async fn run(
        mut self,
        mut variables: Variables,
        mut adopted: Option<ReadyCommand>,
    ) -> Result<PhaseEnd, WriteError> {
        let before = self.entered.unwrap_or_default();
        let mut begun = Instant::now();
        let mut executions = self.executions;
        loop {
            executions += 1;
            variables.insert("RUNTRAIL_TRY".to_owned(), executions.to_string().into());
            let is_new = self.entered.is_none();
            let ready = match adopted.take() {
                Some(command) => Ok(command),
                None => self.make_ready(&variables, executions).await?,
            };
            if is_new {
                begun = Instant::now();
            }
            let (outcome, report) = match ready {
                Ok(command) => self.run_once(command).await?,
                Err(outcome) => (outcome, PhaseReport::default()),
            };
            let end = |outcome, report| Ok(PhaseEnd { outcome, report, took: before + begun.elapsed() });
            if outcome.is_success() || outcome.ends_attempt() {
                return end(outcome, report);
            }
            let Some(delay) = self.spec.retries.next_delay(executions, outcome.exit_code()) else {
                return end(outcome, report);
            };
            let mut failure = outcome.failure(self.spec, report.error.as_deref());
            let (all, next) = (self.spec.retries.times, humantime::format_duration(delay));
            failure.message += &format!("; retry {executions} of {all} in {next}");
            failure.retryable = true;
            let next = NextExecution { phase: Arc::clone(self.name), execution: executions + 1 };
            let supervisor = self.attempt.state.hands_over().then(|| Box::new(SupervisorUpdate::Retrying(next)));
            let mut write = RunWrite::new(AppendFrames { lease: self.attempt.lease, supervisor });
            write.frames.push(NewFrame::now(Some(Arc::clone(self.name)), &FramePayload::Error(failure)));
            self.attempt.commit(write).await?;
            self.attempt.release_ended();
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                limit = self.prepared.meter.reached() => return end(limited(&self.prepared.meter, limit), report),
                () = self.attempt.signals.stopping() => return end(CommandOutcome::Stopped, report),
            }
        }
    }

    /// Starts the supervisor of the next execution, and enters the phase with the first one. A supervisor that another
    /// server could take over is in the database before its command begins: a phase without one was never begun.
    async fn make_ready(
        &mut self,
        variables: &Variables,
        execution: u32,
    ) -> Result<Result<ReadyCommand, CommandOutcome>, WriteError> {
        if self.attempt.signals.is_stopping() {
            self.enter(None).await?;
            return Ok(Err(CommandOutcome::Stopped));
        }
        let folder = match self.prepared.work_folder.open_subfolder(&self.spec.dir).await {
            Ok(folder) => folder,
            Err(error) => {
                self.enter(None).await?;
                return Ok(Err(CommandOutcome::NotStarted(error)));
            }
        };
        let ready =
            |started| ReadyCommand { started, rows: RowFrames::default(), report: PhaseReport::default(), offset: 0 };
        if self.entered.is_none() {
            let first = self.start(variables, &folder).await;
            let supervisor = first.as_ref().ok().and_then(|started| self.supervisor(started, execution));
            self.enter(supervisor).await?;
            match first {
                Ok(started) => return Ok(Ok(ready(started))),
                Err(error) if !error.is_transient() => return Ok(Err(CommandOutcome::NotStarted(error))),
                // Waited for below, in the journal of the phase.
                Err(_) => {}
            }
        }
        let start = || self.start(variables, &folder);
        let started = match retry_while_short(self.attempt, Some(self.name), WAITING_TO_START, start).await? {
            RetryResult::Done(Ok(started)) => started,
            RetryResult::Done(Err(error)) => return Ok(Err(CommandOutcome::NotStarted(error))),
            RetryResult::Stopped => return Ok(Err(CommandOutcome::Stopped)),
        };
        if let Some(supervisor) = self.supervisor(&started, execution) {
            let supervisor = Some(Box::new(SupervisorUpdate::Ready(supervisor)));
            let write = RunWrite::new(AppendFrames { lease: self.attempt.lease, supervisor });
            self.attempt.commit(write).await?;
        }
        Ok(Ok(ready(started)))
    }

    fn supervisor(&self, started: &StartedCommand, execution: u32) -> Option<NewSupervisor> {
        let socket = started.command.socket()?.to_owned();
        Some(NewSupervisor { phase: Arc::clone(self.name), execution, socket })
    }

    async fn start(&self, variables: &Variables, folder: &Folder) -> std::io::Result<StartedCommand> {
        let (attempt, spec, prepared) = (self.attempt, self.spec, self.prepared);
        let (secrets, most_bytes) = (prepared.secrets.values(), prepared.meter.output_left());
        let start = attempt.state.options.commands.start(CommandSpec {
            run: &spec.run,
            folder,
            variables: variables.clone(),
            output: spec.output,
            form: OutputForm::Frames { secrets, most_bytes },
            token: attempt.lease.token,
            background: spec.background,
            confinement: Some(&prepared.confinement),
            privileges: if spec.gain_privileges { Privileges::MayGain } else { Privileges::Restricted },
        });
        start.await
    }

    /// Journals that the phase begins, unless that is done.
    async fn enter(&mut self, supervisor: Option<NewSupervisor>) -> Result<(), WriteError> {
        if self.entered.is_some() {
            return Ok(());
        }
        let enter = EnterPhase::new(self.attempt.lease, Arc::clone(self.name), supervisor);
        let mut write = RunWrite::new(enter);
        write.add_phase(PhaseChange {
            name: self.name.to_string(),
            state: PhaseState::Started,
            exit_code: None,
            signal: None,
            duration_ms: None,
            carried: false,
        });
        // The run may have been cancelled between the claim and the registration of this attempt's cancel signal.
        let begun = self.attempt.commit(write).await?;
        self.attempt.observe_cancel(&begun);
        self.entered = Some(Duration::ZERO);
        Ok(())
    }

    /// Runs a command to its end.
    async fn run_once(&self, ready: ReadyCommand) -> Result<(CommandOutcome, PhaseReport), WriteError> {
        let ReadyCommand { started, rows, report, offset, .. } = ready;
        let StartedCommand { mut command, mut records } = started;
        let (attempt, spec, name, meter) = (self.attempt, self.spec, self.name, &self.prepared.meter);
        let ran = command.begun().unwrap_or_default();
        command.begin().await;
        let report = SharedReport::new(PhaseReport { inherited_bytes: self.inherited_bytes, ..report });
        let output = OutputJournal {
            journal: &attempt.state.journal,
            lease: attempt.lease,
            phase: Arc::clone(name),
            report: Some(&report),
            meter,
            is_adoptable: command.socket().is_some(),
            reading: attempt.state.reading.clone(),
        };
        // Of what an earlier server has journaled, the last may be from processes in the background.
        let has_ended = records.has_ended_output(offset);
        let (rows, background_rows) = if has_ended { (None, rows) } else { (Some(rows), RowFrames::default()) };
        let journaling = rows.map(|rows| output.run(records.as_mut(), rows).boxed());
        let runner = CommandRunner {
            attempt,
            background: self.background,
            meter,
            spec,
            phase: name,
            ran,
            command,
            journaling: OutputJournaling::new(journaling),
            progress: CommandProgress::default(),
        };
        let (outcome, command) = runner.run().await?;
        if outcome.is_success() && spec.background {
            self.background.keep(name, StartedCommand { command, records }, background_rows, meter).await;
        } else {
            attempt.keep_ended(command);
        }
        let report = std::mem::take(&mut *report.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((outcome, report))
    }
}
