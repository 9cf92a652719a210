//! Commands that phases leave running in the background (`background = true`). They run until the attempt ends, or
//! until the run waits for approval.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::attempt::Attempt;
use super::command::launcher::{CommandEvent, RunningCommand, StartedCommand};
use super::command::report::ProcessList;
use super::meter::Meter;
use super::output::OutputJournal;
use super::row_frames::RowFrames;
use crate::journal::WriteError;
use crate::model::kinds::Notice;

/// The background commands of one attempt.
pub(super) struct BackgroundCommands<'a> {
    attempt: &'a Attempt,
    commands: Mutex<Vec<BackgroundCommand>>,
}

struct BackgroundCommand {
    phase: Arc<str>,
    command: Box<dyn RunningCommand>,
    /// Journals what its processes print.
    journaling: JoinHandle<()>,
    /// When it got SIGTERM.
    terminated_at: Option<Instant>,
}

impl<'a> BackgroundCommands<'a> {
    pub(super) fn new(attempt: &'a Attempt) -> Self {
        Self { attempt, commands: Mutex::default() }
    }

    /// Keeps what a phase has left running, and journals its output under the phase's name. `rows` are those that are
    /// journaled already.
    pub(super) async fn keep(&self, phase: &Arc<str>, left: StartedCommand, rows: RowFrames, meter: &Arc<Meter>) {
        let StartedCommand { command, mut records } = left;
        let (journal, lease, name) = (self.attempt.state.journal.clone(), self.attempt.lease, Arc::clone(phase));
        let (meter, reading) = (Arc::clone(meter), self.attempt.state.reading.clone());
        let is_adoptable = command.socket().is_some();
        let journaling = tokio::spawn(async move {
            // The phase has ended, so nothing reported here changes its outcome.
            let output = OutputJournal {
                journal: &journal,
                lease,
                phase: name,
                report: None,
                meter: &meter,
                is_adoptable,
                reading,
            };
            // A refusal means that the attempt is over.
            let _ = output.run(records.as_mut(), rows).await;
        });
        let command = BackgroundCommand { phase: Arc::clone(phase), command, journaling, terminated_at: None };
        self.commands.lock().await.push(command);
    }

    /// Sends SIGTERM to all background commands without waiting, so that their grace time runs beside that of the
    /// phase's command.
    pub(super) async fn terminate(&self) {
        for command in self.commands.lock().await.iter_mut() {
            command.terminate().await;
        }
    }

    /// Ends all background commands and journals which processes they were.
    ///
    /// # Errors
    /// The lease is lost, or the database's own.
    pub(super) async fn end(&self) -> Result<(), WriteError> {
        let mut commands = std::mem::take(&mut *self.commands.lock().await);
        let ended = commands.iter_mut().map(|command| async {
            command.terminate().await;
            let (left, stuck) = self.wait(command).await;
            // No process is left that could print, so the outputs end.
            let _ = (&mut command.journaling).await;
            (Arc::clone(&command.phase), left, stuck)
        });
        for (phase, left, stuck) in futures::future::join_all(ended).await {
            let notice = left.map(|left| Notice {
                code: "background_ended".to_owned(),
                message: format!("ended what phase {phase} had left in the background: {}", left.listed()),
                processes: left.named,
            });
            self.attempt.journal_processes(&phase, notice, stuck).await?;
        }
        Ok(())
    }

    /// Waits for a command that got SIGTERM, and kills it after the grace time. Returns its processes, and those that
    /// are stuck.
    async fn wait(&self, command: &mut BackgroundCommand) -> (Option<ProcessList>, Option<ProcessList>) {
        let (mut left, mut stuck, mut is_killed) = (None, None, false);
        let kill_at = command.terminated_at.unwrap_or_else(Instant::now) + self.attempt.state.options.grace;
        loop {
            tokio::select! {
                event = command.command.next_event() => match event {
                    CommandEvent::Finished => return (left, stuck),
                    CommandEvent::LeftBehind(processes) => left = Some(processes),
                    CommandEvent::Stuck(processes) => stuck = Some(processes),
                    CommandEvent::NotStarted(_)
                    | CommandEvent::Delayed(_)
                    | CommandEvent::Exited(_)
                    | CommandEvent::ServiceSignalled(_) => {}
                },
                () = self.attempt.signals.grace_over(kill_at), if !is_killed => {
                    is_killed = true;
                    command.command.kill().await;
                }
            }
        }
    }
}

impl BackgroundCommand {
    async fn terminate(&mut self) {
        if self.terminated_at.is_none() {
            self.terminated_at = Some(Instant::now());
            self.command.terminate().await;
        }
    }
}

impl Drop for BackgroundCommand {
    fn drop(&mut self) {
        self.journaling.abort();
    }
}
