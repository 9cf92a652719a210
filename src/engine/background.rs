//! What phases have left running in the background (`background = true`): kept until their attempt ends, or the run waits for a
//! person.

use std::sync::{Arc, PoisonError};

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::commands::{CommandEvent, RunningCommand};
use super::output::{Reported, journal_all};
use super::report::Processes;
use super::verdict::Verdict;
use super::worker::Worker;
use crate::journal::WriteError;
use crate::model::kinds::{Failure, Notice};
use crate::model::{FinalStatus, FramePayload};
use crate::store::NewFrame;

/// The commands of an attempt that have ended and left processes behind which are kept.
#[derive(Default)]
pub(super) struct Background {
    kept: Mutex<Vec<Kept>>,
}

/// One of them.
struct Kept {
    phase: Arc<str>,
    command: Box<dyn RunningCommand>,
    /// Journals what its processes print.
    journal: JoinHandle<()>,
    /// When it was asked to end.
    asked: Option<Instant>,
}

impl Worker {
    /// Keeps what a phase has left running, and journals what it prints as the phase's.
    pub(super) async fn keep(&self, phase: &Arc<str>, mut command: Box<dyn RunningCommand>) {
        let outputs = command.outputs_left();
        let (journal, lease, name) = (self.shared.journal.clone(), self.lease, Arc::clone(phase));
        let meter = Arc::clone(self.meter());
        let journal = tokio::spawn(async move {
            // What it reports is journaled; its phase has ended, so it decides nothing any more. A refusal means that the attempt is over.
            let _ = journal_all(outputs, &journal, lease, &name, &Reported::default(), &meter).await;
        });
        let kept = Kept { phase: Arc::clone(phase), command, journal, asked: None };
        self.background.kept.lock().await.push(kept);
    }

    /// Asks all that is kept to end, and does not wait for it: with a command that is asked at the same time, it has the same grace.
    pub(super) async fn ask_background(&self) {
        for kept in self.background.kept.lock().await.iter_mut() {
            kept.ask().await;
        }
    }

    /// Ends all that is kept, and journals what it was.
    pub(super) async fn end_background(&self) -> Result<(), WriteError> {
        let mut all = std::mem::take(&mut *self.background.kept.lock().await);
        let ended = all.iter_mut().map(|kept| async {
            kept.ask().await;
            let (left, stuck) = self.end(kept).await;
            // All that could print has ended, so its outputs have.
            let _ = (&mut kept.journal).await;
            (Arc::clone(&kept.phase), left, stuck)
        });
        for (phase, left, stuck) in futures::future::join_all(ended).await {
            let notice = left.map(|left| Notice {
                code: "background_ended".to_owned(),
                message: format!("ended what phase {phase} had left in the background: {}", left.listed()),
                processes: left.named,
            });
            self.tell_processes(&phase, notice, stuck).await?;
        }
        Ok(())
    }

    async fn end(&self, kept: &mut Kept) -> (Option<Processes>, Option<Processes>) {
        let (mut left, mut stuck, mut is_killed) = (None, None, false);
        let kill_at = kept.asked.unwrap_or_else(Instant::now) + self.shared.options.grace;
        loop {
            tokio::select! {
                event = kept.command.next_event() => match event {
                    CommandEvent::Gone => return (left, stuck),
                    CommandEvent::Left(processes) => left = Some(processes),
                    CommandEvent::Stuck(processes) => stuck = Some(processes),
                    CommandEvent::NotStarted(_)
                    | CommandEvent::Waits(_)
                    | CommandEvent::Ended(_)
                    | CommandEvent::Signalled(_) => {}
                },
                () = self.grace_ends(kill_at), if !is_killed => {
                    is_killed = true;
                    kept.command.kill().await;
                }
            }
        }
    }

    /// Waits until what was asked to end is to be killed: the grace is over, or somebody wants it at once.
    pub(super) async fn grace_ends(&self, kill_at: Instant) {
        tokio::select! {
            () = tokio::time::sleep_until(kill_at) => {}
            () = self.force.cancelled() => {}
        }
    }

    /// Journals what became of processes that outlived their command.
    pub(super) async fn tell_processes(
        &self,
        phase: &Arc<str>,
        notice: Option<Notice>,
        stuck: Option<Processes>,
    ) -> Result<(), WriteError> {
        let mut write = self.append();
        write.frames.extend(notice.map(|notice| NewFrame::now(Some(Arc::clone(phase)), &FramePayload::Notice(notice))));
        if let Some(stuck) = stuck {
            let failure = could_not_end(&stuck);
            write.frames.push(NewFrame::now(Some(Arc::clone(phase)), &FramePayload::Error(failure)));
            self.stuck.lock().unwrap_or_else(PoisonError::into_inner).push(stuck);
        }
        if write.frames.is_empty() {
            return Ok(());
        }
        self.shared.journal.write(write).await.map(drop)
    }

    /// Adds the processes that could not be ended to what is said of the attempt's end.
    pub(super) fn name_stuck(&self, mut verdict: Verdict) -> Verdict {
        for stuck in self.stuck.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let failure = could_not_end(stuck);
            verdict.reason += &format!("; {}", failure.message);
            match (&mut verdict.error, verdict.to) {
                (Some(error), _) => error.message += &format!("; {}", failure.message),
                // Said of a run that was cancelled; one that completed has no error, and an interrupted one has its reason.
                (error, FinalStatus::Cancelled) => *error = Some(failure),
                (None, _) => {}
            }
        }
        verdict
    }
}

impl Kept {
    async fn ask(&mut self) {
        if self.asked.is_none() {
            self.asked = Some(Instant::now());
            self.command.terminate().await;
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.journal.abort();
    }
}

/// `could not end pid 12 (sleep)`.
fn could_not_end(stuck: &Processes) -> Failure {
    let named: Vec<String> =
        stuck.named.iter().map(|process| format!("pid {} ({})", process.pid, process.name)).collect();
    let more = match stuck.count.saturating_sub(named.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!("could not end {}{more}: end it by hand, as its owner", named.join(", "));
    Failure { code: "process_stuck".to_owned(), message, retryable: false }
}
