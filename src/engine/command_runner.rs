//! Runs one command to its end: journals its output, enforces its limits, and ends it when the attempt has to stop.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::attempt::Attempt;
use super::background::BackgroundCommands;
use super::command::launcher::{CommandEvent, RunningCommand};
use super::command::report::{Exit, ProcessList};
use super::meter::Meter;
use super::outcome::CommandOutcome;
use super::shortage_retry::journal_shortage;
use crate::journal::{Health, WriteError};
use crate::model::PhaseSpec;
use crate::model::kinds::Notice;
use crate::model::limits::Limit;

/// What the journal says of a command that the system cannot start yet.
pub(super) const WAITING_TO_START: &str = "the phase waits to be started";

/// How often the time limit of a phase is corrected by the time in which the database took no writes.
const TIMEOUT_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// One command of a phase that has begun. Dropping it kills the command and everything it started.
pub(super) struct CommandRunner<'a> {
    pub(super) attempt: &'a Attempt,
    pub(super) background: &'a BackgroundCommands<'a>,
    pub(super) meter: &'a Meter,
    pub(super) spec: &'a PhaseSpec,
    pub(super) phase: &'a Arc<str>,
    /// How long the command had run when this server got it.
    pub(super) ran: Duration,
    pub(super) command: Box<dyn RunningCommand>,
    pub(super) journaling: OutputJournaling<'a>,
    pub(super) progress: CommandProgress,
}

impl<'a> CommandRunner<'a> {
    /// Runs the command to its end. The command is returned if it may have left processes in the background that are
    /// kept.
    ///
    /// # Errors
    /// The lease is lost, or the database's own.
    pub(super) async fn run(mut self) -> Result<(CommandOutcome, Box<dyn RunningCommand>), WriteError> {
        let early = self.follow().await?;
        if let Some(outcome) = &early {
            journal_limit(self.attempt, self.phase, outcome).await?;
            self.terminate().await?;
        }
        // Every process that could print has ended, or is kept and journaled by itself.
        self.journaling.finish().await?;
        let outcome = early.unwrap_or_else(|| self.own_outcome());
        let left = self.progress.left_behind.take().map(left_behind_notice);
        self.attempt.journal_processes(self.phase, left, self.progress.stuck.take()).await?;
        Ok((outcome, self.command))
    }

    /// Follows the command until it and everything it started has ended, except for processes that are kept. Returns
    /// why the command has to be ended, if it has.
    async fn follow(&mut self) -> Result<Option<CommandOutcome>, WriteError> {
        let limit = self.spec.timeout_ms.map(|limit| Duration::from_millis(limit).saturating_sub(self.ran));
        let timeout = phase_timeout(limit, self.attempt.state.journal.health());
        tokio::pin!(timeout);
        loop {
            // Once the command has exited, its exit counts. What it left behind is ended within a moment.
            let is_running = self.progress.exit.is_none();
            tokio::select! {
                event = self.command.next_event() => match event {
                    CommandEvent::Finished => return Ok(None),
                    CommandEvent::ServiceSignalled(signal) if is_running => {
                        return Ok(Some(CommandOutcome::ServiceSignalled(signal)));
                    }
                    CommandEvent::Delayed(reason) => {
                        journal_shortage(self.attempt, Some(self.phase), WAITING_TO_START, &reason).await?;
                    }
                    event => {
                        self.progress.record(event);
                        if self.spec.background && self.progress.exit.is_some_and(|exit| exit.code == 0) {
                            return Ok(None);
                        }
                    }
                },
                // A command may close its outputs long before it exits. A refusal ends the command, by dropping it.
                result = self.journaling.finish(), if self.journaling.is_active() => result?,
                () = &mut timeout, if is_running => return Ok(Some(CommandOutcome::TimedOut)),
                limit = self.meter.reached(), if is_running => return Ok(Some(limited(self.meter, limit))),
                () = self.attempt.signals.stopping(), if is_running => return Ok(Some(CommandOutcome::Stopped)),
            }
        }
    }

    /// Sends SIGTERM to the command, and SIGKILL after the grace time.
    async fn terminate(&mut self) -> Result<(), WriteError> {
        self.command.terminate().await;
        if self.attempt.signals.is_stopping() {
            self.background.terminate().await;
        }
        let kill_at = Instant::now() + self.attempt.state.options.grace;
        let mut is_killed = false;
        loop {
            tokio::select! {
                event = self.command.next_event() => match event {
                    CommandEvent::Finished => return Ok(()),
                    event => self.progress.record(event),
                },
                result = self.journaling.finish(), if self.journaling.is_active() => result?,
                () = self.attempt.signals.grace_over(kill_at), if !is_killed => {
                    is_killed = true;
                    self.command.kill().await;
                }
            }
        }
    }

    /// The outcome of a command that ended by itself.
    fn own_outcome(&mut self) -> CommandOutcome {
        match (self.progress.not_started.take(), self.meter.limit()) {
            (Some(reason), _) => CommandOutcome::NotStarted(std::io::Error::other(reason)),
            // The last bytes that it printed reached the limit.
            (None, Some(limit)) => limited(self.meter, limit),
            (None, None) => CommandOutcome::Exited(self.progress.exit),
        }
    }
}

/// Journals a reached limit at once: the command may take its grace time to end.
async fn journal_limit(attempt: &Attempt, phase: &Arc<str>, outcome: &CommandOutcome) -> Result<(), WriteError> {
    let CommandOutcome::Limited(limit, sentence) = outcome else { return Ok(()) };
    let message = format!("ending phase {phase}: {sentence}");
    let notice = Notice { code: limit.code().to_owned(), message, processes: Vec::new() };
    attempt.journal_processes(phase, Some(notice), None).await
}

/// The outcome of a command whose attempt has reached a limit.
pub(super) fn limited(meter: &Meter, limit: Limit) -> CommandOutcome {
    CommandOutcome::Limited(limit, meter.describe(limit))
}

/// Completes when a phase has run for its time limit. Time in which the database takes no writes does not count: the
/// command may be blocked on its output for all that time.
async fn phase_timeout(limit: Option<Duration>, health: &Health) {
    let Some(mut left) = limit else { return std::future::pending().await };
    while !left.is_zero() {
        let began = Instant::now();
        tokio::time::sleep(left.min(TIMEOUT_CHECK_INTERVAL)).await;
        let waited = health.waited().map_or(Duration::ZERO, |(_, waited)| waited);
        left = left.saturating_sub(began.elapsed().saturating_sub(waited));
    }
}

/// The events of a command so far.
#[derive(Debug, Default)]
pub(super) struct CommandProgress {
    not_started: Option<String>,
    exit: Option<Exit>,
    left_behind: Option<ProcessList>,
    stuck: Option<ProcessList>,
}

impl CommandProgress {
    fn record(&mut self, event: CommandEvent) {
        match event {
            CommandEvent::NotStarted(reason) => self.not_started = Some(reason),
            CommandEvent::Exited(exit) => self.exit = Some(exit),
            CommandEvent::LeftBehind(left) => self.left_behind = Some(left),
            CommandEvent::Stuck(stuck) => self.stuck = Some(stuck),
            // The command is being ended already.
            CommandEvent::Delayed(_) | CommandEvent::ServiceSignalled(_) | CommandEvent::Finished => {}
        }
    }
}

/// The journaling of a command's outputs, which completes once.
pub(super) struct OutputJournaling<'a>(Option<BoxFuture<'a, Result<(), WriteError>>>);

impl<'a> OutputJournaling<'a> {
    /// `None`: everything is journaled.
    pub(super) fn new(journaling: Option<BoxFuture<'a, Result<(), WriteError>>>) -> Self {
        Self(journaling)
    }

    const fn is_active(&self) -> bool {
        self.0.is_some()
    }

    /// Waits until the outputs have ended and all of them is journaled. Cancel safe.
    async fn finish(&mut self) -> Result<(), WriteError> {
        let Some(journaling) = &mut self.0 else { return Ok(()) };
        let result = journaling.await;
        self.0 = None;
        result
    }
}

/// The notice of processes that a command left behind, and that were ended.
fn left_behind_notice(left: ProcessList) -> Notice {
    let (were, such) = match left.count {
        1 => ("1 process that the command left behind was".to_owned(), "such a process"),
        count => (format!("{count} processes that the command left behind were"), "such processes"),
    };
    let listed = left.listed();
    let message =
        format!("{were} ended: {listed}. With `background = true` the phase keeps {such} until the attempt ends");
    Notice { code: "processes_left".to_owned(), message, processes: left.named }
}
