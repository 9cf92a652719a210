//! The writer: one task that owns all writing. It collects commands, commits them, and only then publishes them.
//!
//! A commit that fails for a reason that passes is repeated until it succeeds: the jobs behind it wait, so memory is
//! bounded, and in the end the command that prints waits too. A caller with [patience](Handle::with_patience) may
//! withdraw its job meanwhile, between two attempts; then it never happens. While the disk is full,
//! [`disk_shares`](super::disk_shares) says what is written all the same.

mod full_disk;
mod job;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;

use super::backend::JournalBackend;
use super::disk_shares::{DiskShares, output_of};
use super::health::Health;
use super::live_runs::LiveRuns;
use super::run_list_feed::{RunListEvent, RunListFeed};
use super::sync::time::{self, Instant};
use super::sync::watch;
use crate::model::kinds::Failure;
use crate::model::{FramePayload, OutageKind};
use crate::store::{DeleteRun, ListEvent, NewFrame, RunCommand, RunWrite, StoreCommand, StoreError, WriteOutcome};

pub use job::Handle;
use job::{Job, MAX_WAITING_JOBS, Written, rejoin, split};

/// How writes are grouped into commits.
#[derive(Clone, Copy, Debug)]
pub struct GroupCommit {
    /// While commits follow each other, the least time from one to the next. The first after a pause does not wait.
    pub interval: Duration,
    /// With about so many bytes of frames a commit does not wait for the interval.
    pub enough_bytes: usize,
    /// About how many bytes of frames one transaction takes.
    pub max_bytes: usize,
    /// How long a run waits for space on a full disk before it is ended.
    pub disk_wait: Duration,
}

/// How long a run waits for space on a full disk, if nothing else is configured.
const DEFAULT_DISK_WAIT: Duration = Duration::from_secs(60 * 60);

/// The wait before a commit is repeated; each is twice the one before.
const FIRST_RETRY_WAIT: Duration = Duration::from_millis(10);

/// The longest of these waits.
const MAX_RETRY_WAIT: Duration = Duration::from_millis(250);

/// How long output waits for the database before its journal says so.
const NOTE_AFTER: Duration = Duration::from_secs(5);

impl Default for GroupCommit {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(1),
            enough_bytes: 64 << 10,
            max_bytes: 1 << 20,
            disk_wait: DEFAULT_DISK_WAIT,
        }
    }
}

/// The writer's task. Ends when the last handle is dropped and all jobs are written.
pub struct WriterTask {
    backend: Arc<dyn JournalBackend>,
    live_runs: Arc<LiveRuns>,
    list_feed: Arc<RunListFeed>,
    /// Notified when the outbox has something new.
    outbox: Arc<watch::Sender<u64>>,
    group: GroupCommit,
    jobs: mpsc::Receiver<Job>,
    /// What was held back while the disk was full; it is written before what comes later.
    held: VecDeque<Job>,
    shares: DiskShares,
    health: Arc<Health>,
    written: Arc<Written>,
}

pub fn new(
    backend: Arc<dyn JournalBackend>,
    live_runs: Arc<LiveRuns>,
    list_feed: Arc<RunListFeed>,
    outbox: Arc<watch::Sender<u64>>,
    group: GroupCommit,
) -> (Handle, WriterTask) {
    let (sender, jobs) = mpsc::channel(MAX_WAITING_JOBS);
    let (written, health) = (Arc::<Written>::default(), Arc::<Health>::default());
    let handle = Handle { jobs: sender, written: Arc::clone(&written), health: Arc::clone(&health), patience: None };
    let (held, shares) = (VecDeque::new(), DiskShares::default());
    (handle, WriterTask { backend, live_runs, list_feed, outbox, group, jobs, held, shares, health, written })
}

/// Why a batch was not written yet.
enum NotWritten {
    DiskFull(Vec<Job>),
    /// The database refuses one of these for good.
    Unfit(Vec<Job>, StoreError),
}

impl WriterTask {
    /// Writes until the last handle is dropped.
    pub async fn run(mut self) {
        let mut last_commit: Option<Instant> = None;
        while let Some(first) = self.next().await {
            let until = last_commit.map(|at| at + self.group.interval);
            let jobs = self.collect(first, until).await;
            last_commit = Some(Instant::now());
            self.commit(jobs).await;
        }
    }

    async fn next(&mut self) -> Option<Job> {
        match self.held.pop_front() {
            Some(job) => Some(job),
            None => self.jobs.recv().await,
        }
    }

    /// `first`, the jobs that already wait, and, while those are few, jobs that arrive until then; up to a size.
    async fn collect(&mut self, first: Job, until: Option<Instant>) -> Vec<Job> {
        let mut size = self.size_of(&first.command);
        let mut jobs = vec![first];
        while size < self.group.max_bytes {
            let waiting = self.held.pop_front().or_else(|| self.jobs.try_recv().ok());
            let next = match (waiting, until) {
                (Some(job), _) => Some(job),
                (None, Some(until)) if size < self.group.enough_bytes => {
                    time::timeout_at(until, self.jobs.recv()).await.ok().flatten()
                }
                (None, _) => None,
            };
            let Some(job) = next else { break };
            size += self.size_of(&job.command);
            jobs.push(job);
        }
        jobs
    }

    /// About how many bytes of a transaction it takes.
    fn size_of(&self, command: &StoreCommand) -> usize {
        command.size().unwrap_or(self.group.max_bytes)
    }

    async fn commit(&mut self, jobs: Vec<Job>) {
        match self.commit_all(jobs).await {
            Ok(()) => {}
            Err(NotWritten::DiskFull(jobs)) => self.wait_for_space(jobs).await,
            Err(NotWritten::Unfit(jobs, error)) if jobs.len() == 1 => {
                jobs.into_iter().for_each(|job| job.answer(Err(error.clone().into())));
            }
            // The others must not suffer for it.
            Err(NotWritten::Unfit(jobs, _)) => {
                let mut jobs = VecDeque::from(jobs);
                while let Some(job) = jobs.pop_front() {
                    match self.commit_all(vec![job]).await {
                        Ok(()) => {}
                        Err(NotWritten::Unfit(jobs, error)) => {
                            jobs.into_iter().for_each(|job| job.answer(Err(error.clone().into())));
                        }
                        Err(NotWritten::DiskFull(mut waits)) => {
                            waits.extend(jobs);
                            return self.wait_for_space(waits).await;
                        }
                    }
                }
            }
        }
    }

    /// Commits and answers; again while the database is locked or not available. Jobs that are withdrawn meanwhile are
    /// left out.
    async fn commit_all(&mut self, mut jobs: Vec<Job>) -> Result<(), NotWritten> {
        let mut pause = FIRST_RETRY_WAIT;
        loop {
            jobs.retain(Job::begin);
            if jobs.is_empty() {
                return Ok(());
            }
            let note = self.health.waited().and_then(|(kind, waited)| outage_note(kind, waited));
            let (commands, callers) = split(jobs);
            self.health.began();
            let written = match &note {
                None => self.backend.commit(&commands).await,
                Some(note) => {
                    let noted: Vec<_> = commands.iter().map(|command| with_note(command, note)).collect();
                    self.backend.commit(&noted).await
                }
            };
            let error = match written {
                Ok(outcomes) => {
                    self.health.succeeded();
                    self.publish(&commands, &outcomes);
                    callers.into_iter().zip(outcomes).for_each(|(caller, outcome)| caller.answer(Ok(outcome)));
                    return Ok(());
                }
                Err(error) => error,
            };
            jobs = rejoin(commands, callers);
            if !error.is_retryable() {
                self.health.succeeded();
                return Err(NotWritten::Unfit(jobs, error));
            }
            self.health.failed(&error);
            if matches!(error, StoreError::Full(_)) {
                return Err(NotWritten::DiskFull(jobs));
            }
            time::sleep(pause).await;
            pause = (pause * 2).min(MAX_RETRY_WAIT);
        }
    }

    /// Publishes what was written to readers.
    fn publish(&mut self, commands: &[StoreCommand], outcomes: &[WriteOutcome]) {
        if commands.iter().any(|command| !matches!(command, StoreCommand::Probe)) {
            self.written.commits.fetch_add(1, Ordering::Relaxed);
        }
        let mut deliveries = 0;
        for (command, outcome) in commands.iter().zip(outcomes) {
            let (StoreCommand::Run(write), WriteOutcome::Committed(committed)) = (command, outcome) else { continue };
            self.shares.record(write, committed);
            deliveries += committed.deliveries as u64;
            // A renewed lease has no frame; there is nothing to publish.
            if !committed.frames.is_empty() {
                self.written.frames.fetch_add(committed.frames.len() as u64, Ordering::Relaxed);
                self.live_runs.publish(committed);
            } else if let RunCommand::DeleteRun(DeleteRun { run, .. }) = write.command {
                self.live_runs.mark_deleted(run);
            }
        }
        if deliveries > 0 {
            self.outbox.send_if_modified(|count| {
                *count += deliveries;
                true
            });
        }
        let events = commands.iter().zip(outcomes).filter_map(|(command, outcome)| command.list_event(outcome));
        self.list_feed.publish(events.map(|(run, event)| match event {
            ListEvent::Changed => RunListEvent::Changed(run),
            ListEvent::BecameFinal => RunListEvent::BecameFinal(run),
            ListEvent::Deleted(id) => RunListEvent::Deleted(run, id),
        }));
    }
}

/// What the journals of runs say of an outage, once it has lasted for a while.
fn outage_note(kind: OutageKind, waited: Duration) -> Option<FramePayload> {
    if waited < NOTE_AFTER {
        return None;
    }
    let seconds = waited.as_secs();
    let (code, message) = match kind {
        OutageKind::DiskFull => {
            ("disk_full", format!("the disk of the database was full: log lines were held back for {seconds} s"))
        }
        OutageKind::Locked => (
            "database_unavailable",
            format!("another program had locked the database: log lines waited for {seconds} s"),
        ),
        OutageKind::Unavailable => {
            ("database_unavailable", format!("the database was unavailable: log lines waited for {seconds} s"))
        }
    };
    Some(FramePayload::Error(Failure { code: code.to_owned(), message, retryable: true }))
}

/// The command, with a note at its end if it is output that has waited: its lines were printed before.
fn with_note(command: &StoreCommand, note: &FramePayload) -> StoreCommand {
    let mut command = command.clone();
    if let (Some(_), StoreCommand::Run(RunWrite { frames, .. })) = (output_of(&command), &mut command)
        && let Some(last) = frames.last()
    {
        let (ts, phase) = (last.ts, last.phase.clone());
        frames.push(NewFrame { ts, phase, kind: note.kind().into(), data: note.data().into() });
    }
    command
}
