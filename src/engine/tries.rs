//! One phase's command: run, journaled as it prints, ended if it takes too long or somebody asks for it, and tried again.

use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::commands::{CommandEvent, CommandSpec, Rights, RunningCommand, Variables};
use super::output::{Reported, Told, journal_all};
use super::places::{Place, enter};
use super::report::{Exit, Processes};
use super::shortage::Waited;
use super::verdict::Ended;
use super::worker::Worker;
use crate::confined_fs::Folder;
use crate::journal::{Health, WriteError};
use crate::model::kinds::Notice;
use crate::model::limits::Limit;
use crate::model::{FramePayload, PhaseSpec};
use crate::store::NewFrame;

impl Worker {
    /// Runs one phase's command, again and again if it fails and is to be tried again. With how it ended comes what it told the
    /// last time. `given`: how many bytes earlier phases have given to later ones.
    pub(super) async fn tries(
        &self,
        spec: &PhaseSpec,
        name: &Arc<str>,
        mut variables: Variables,
        place: &Place,
        given: usize,
    ) -> Result<(Ended, Told), WriteError> {
        let folder = match enter(place, &spec.dir).await {
            Ok(folder) => folder,
            Err(error) => return Ok((Ended::NotStarted(error), Told::default())),
        };
        let mut tries = 0;
        loop {
            tries += 1;
            variables.insert("RUNTRAIL_TRY".to_owned(), tries.to_string().into());
            let (ended, told) = self.phase(spec, name, variables.clone(), &folder, given).await?;
            if ended.is_good() || matches!(ended, Ended::Stopped | Ended::Signalled(_) | Ended::Limited(..)) {
                return Ok((ended, told));
            }
            let Some(wait) = spec.retries.next_delay(tries, ended.exit_code()) else { return Ok((ended, told)) };
            let mut failure = ended.failure(spec, told.error.as_deref());
            let (all, next) = (spec.retries.times + 1, humantime::format_duration(wait));
            failure.message += &format!("; try {tries} of {all}, the next in {next}");
            failure.retryable = true;
            let mut write = self.append();
            write.frames.push(NewFrame::now(Some(Arc::clone(name)), &FramePayload::Error(failure)));
            self.shared.journal.write(write).await?;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                limit = self.meter().reached() => return Ok((self.limited(limit), told)),
                () = self.cancel.cancelled() => return Ok((Ended::Stopped, told)),
                () = self.stop.cancelled() => return Ok((Ended::Stopped, told)),
            }
        }
    }

    /// Runs one phase's command once and journals what it prints. With how it ended comes what it told.
    async fn phase(
        &self,
        spec: &PhaseSpec,
        name: &Arc<str>,
        variables: Variables,
        folder: &Folder,
        given: usize,
    ) -> Result<(Ended, Told), WriteError> {
        if self.cancel.is_cancelled() || self.stop.is_cancelled() {
            return Ok((Ended::Stopped, Told::default()));
        }
        let start = || {
            std::future::ready(self.shared.options.commands.start(CommandSpec {
                run: &spec.run,
                folder,
                variables: variables.clone(),
                output: spec.output,
                background: spec.background,
                confined: self.confined.get(),
                rights: if spec.gain_privileges { Rights::MayGain } else { Rights::Own },
            }))
        };
        let (mut process, outputs) = match self.when_it_can(Some(name), STARTS_LATER, start).await? {
            Waited::Done(Ok(started)) => started,
            Waited::Done(Err(error)) => return Ok((Ended::NotStarted(error), Told::default())),
            Waited::Stopped => return Ok((Ended::Stopped, Told::default())),
        };
        let reported = Reported::new(Told { given, ..Told::default() });
        let journaled = journal_all(outputs, &self.shared.journal, self.lease, name, &reported, self.meter());
        tokio::pin!(journaled);
        let mut journaled = Journaled::Reading(journaled);
        let mut course = Course::default();
        let early = self.run_to_end(spec, name, &mut *process, &mut course, &mut journaled).await?;
        if let Some(ended) = &early {
            self.tell_limit(name, ended).await?;
            self.end_command(&mut *process, &mut course, &mut journaled).await?;
        }
        // Everything that could print has ended, or is journaled by itself from here.
        journaled.wait().await?;
        let by_itself = |course: &mut Course| match (course.not_started.take(), self.meter().limit()) {
            (Some(reason), _) => Ended::NotStarted(std::io::Error::other(reason)),
            // Reached with the last that it printed.
            (None, Some(limit)) => self.limited(limit),
            (None, None) => Ended::Exited(course.exit),
        };
        let ended = early.unwrap_or_else(|| by_itself(&mut course));
        self.tell_processes(name, course.left.take().map(notice_of_left), course.stuck.take()).await?;
        if ended.is_good() && spec.background {
            self.keep(name, process).await;
        }
        let told = std::mem::take(&mut *reported.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((ended, told))
    }

    /// Follows a command until it has ended, with all it left behind that is not kept. What it returns cuts the command off.
    async fn run_to_end(
        &self,
        spec: &PhaseSpec,
        name: &Arc<str>,
        process: &mut dyn RunningCommand,
        course: &mut Course,
        journaled: &mut Journaled<'_, impl Future<Output = Result<(), WriteError>>>,
    ) -> Result<Option<Ended>, WriteError> {
        let timeout = time_is_up(spec.timeout_ms.map(Duration::from_millis), self.shared.journal.health());
        tokio::pin!(timeout);
        loop {
            // Once it has ended, that counts; what it left behind is ended within a moment.
            let runs = course.exit.is_none();
            tokio::select! {
                event = process.next_event() => match event {
                    CommandEvent::Gone => return Ok(None),
                    CommandEvent::Signalled(signalled) if runs => return Ok(Some(Ended::Signalled(signalled))),
                    CommandEvent::Waits(reason) => self.tell_shortage(Some(name), STARTS_LATER, &reason).await?,
                    event => {
                        course.heed(event);
                        if spec.background && course.exit.is_some_and(|exit| exit.code == 0) {
                            return Ok(None);
                        }
                    }
                },
                // Outputs may be closed long before the command ends. A refusal ends the command (by dropping it).
                result = journaled.wait(), if journaled.is_reading() => result?,
                () = &mut timeout, if runs => return Ok(Some(Ended::TimedOut)),
                limit = self.meter().reached(), if runs => return Ok(Some(self.limited(limit))),
                () = self.cancel.cancelled(), if runs => return Ok(Some(Ended::Stopped)),
                () = self.stop.cancelled(), if runs => return Ok(Some(Ended::Stopped)),
            }
        }
    }

    /// How a phase ended that has reached this limit of its attempt.
    fn limited(&self, limit: Limit) -> Ended {
        Ended::Limited(limit, self.meter().sentence(limit))
    }

    /// Journals at once that a limit was reached: the command may take its time to end.
    async fn tell_limit(&self, phase: &Arc<str>, ended: &Ended) -> Result<(), WriteError> {
        let Ended::Limited(limit, sentence) = ended else { return Ok(()) };
        let message = format!("ending phase {phase}: {sentence}");
        let notice = Notice { code: limit.code().to_owned(), message, processes: Vec::new() };
        self.tell_processes(phase, Some(notice), None).await
    }

    /// Asks a command to end, and kills it after the grace time.
    async fn end_command(
        &self,
        process: &mut dyn RunningCommand,
        course: &mut Course,
        journaled: &mut Journaled<'_, impl Future<Output = Result<(), WriteError>>>,
    ) -> Result<(), WriteError> {
        process.terminate().await;
        if self.cancel.is_cancelled() || self.stop.is_cancelled() {
            self.ask_background().await;
        }
        let kill_at = Instant::now() + self.shared.options.grace;
        let mut is_killed = false;
        loop {
            tokio::select! {
                event = process.next_event() => match event {
                    CommandEvent::Gone => return Ok(()),
                    event => course.heed(event),
                },
                result = journaled.wait(), if journaled.is_reading() => result?,
                () = self.grace_ends(kill_at), if !is_killed => {
                    is_killed = true;
                    process.kill().await;
                }
            }
        }
    }
}

/// What the journal says of a command that the system cannot start yet.
const STARTS_LATER: &str = "the phase waits to be started";

/// How often a phase with a time limit looks whether the database takes writes.
const LOOK: Duration = Duration::from_secs(1);

/// Waits until a phase has run for as long as it may. Time in which the database takes no writes does not count: the command may
/// stand still all that time, since nobody takes what it prints.
async fn time_is_up(limit: Option<Duration>, health: &Health) {
    let Some(mut left) = limit else { return std::future::pending().await };
    while !left.is_zero() {
        let began = Instant::now();
        tokio::time::sleep(left.min(LOOK)).await;
        let waited = health.waited().map_or(Duration::ZERO, |(_, waited)| waited);
        left = left.saturating_sub(began.elapsed().saturating_sub(waited));
    }
}

/// What has happened to a command.
#[derive(Debug, Default)]
struct Course {
    not_started: Option<String>,
    exit: Option<Exit>,
    left: Option<Processes>,
    stuck: Option<Processes>,
}

impl Course {
    fn heed(&mut self, event: CommandEvent) {
        match event {
            CommandEvent::NotStarted(reason) => self.not_started = Some(reason),
            CommandEvent::Ended(exit) => self.exit = Some(exit),
            CommandEvent::Left(left) => self.left = Some(left),
            CommandEvent::Stuck(stuck) => self.stuck = Some(stuck),
            // It is ended already.
            CommandEvent::Waits(_) | CommandEvent::Signalled(_) | CommandEvent::Gone => {}
        }
    }
}

/// The journaling of a command's outputs, which ends once.
enum Journaled<'a, F> {
    Reading(Pin<&'a mut F>),
    Done,
}

impl<F: Future<Output = Result<(), WriteError>>> Journaled<'_, F> {
    const fn is_reading(&self) -> bool {
        matches!(self, Self::Reading(_))
    }

    /// Waits until the outputs have ended and all of them is journaled. Cancel safe.
    async fn wait(&mut self) -> Result<(), WriteError> {
        let Self::Reading(reading) = self else { return Ok(()) };
        let done = reading.as_mut().await;
        *self = Self::Done;
        done
    }
}

/// What is said of processes that a command left behind.
fn notice_of_left(left: Processes) -> Notice {
    let (were, such) = match left.count {
        1 => ("1 process that the command left behind was".to_owned(), "such a process"),
        count => (format!("{count} processes that the command left behind were"), "such processes"),
    };
    let listed = left.listed();
    let message =
        format!("{were} ended: {listed}. With `background = true` the phase keeps {such} until the attempt ends");
    Notice { code: "processes_left".to_owned(), message, processes: left.named }
}
