//! The writer: one task that owns all writing. Collect, commit, and only then tell.
//!
//! What the database does not take for a reason that passes is tried again, in order, until it is taken: the jobs
//! behind it wait, so memory is bounded, and in the end the command that prints waits too. Who asked with
//! [patience](Handle::with_patience) may withdraw meanwhile, between two tries; then it never happens. While the disk
//! is full, [`room`](super::room) says what is written all the same.

mod full_disk;
mod job;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;

use super::health::Health;
use super::live_runs::LiveRuns;
use super::room::{Shares, activity};
use super::run_list_feed::{RunListEvent, RunListFeed};
use super::sync::time::{self, Instant};
use super::sync::watch;
use crate::model::kinds::Failure;
use crate::model::{FramePayload, OutageKind};
use crate::store::{Change, NewFrame, Op, Outcome, Store, StoreError, Write};

pub use job::Handle;
use job::{Job, WAITING, Written, back, split};

/// How writes are put together.
#[derive(Clone, Copy, Debug)]
pub struct GroupCommit {
    /// While commits follow each other, the least time from one to the next. The first after a pause does not wait.
    pub interval: Duration,
    /// About how many bytes of frames are worth a commit at once: with so many the interval is not waited for.
    pub enough: usize,
    /// About how many bytes of frames one transaction takes.
    pub size: usize,
    /// How long a run waits for room on a full disk before it is ended.
    pub disk_wait: Duration,
}

/// How long a run waits for room on a full disk, if nothing else is said.
const DISK_WAIT: Duration = Duration::from_secs(60 * 60);

/// The wait before a commit is tried again; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest of these waits.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// How long activity waits for the database before its journal says so.
const NOTE_AFTER: Duration = Duration::from_secs(5);

impl Default for GroupCommit {
    fn default() -> Self {
        Self { interval: Duration::from_millis(1), enough: 64 << 10, size: 1 << 20, disk_wait: DISK_WAIT }
    }
}

/// The writer's task. Ends when the last handle is gone and all that was sent is written.
pub struct WriterTask {
    store: Arc<dyn Store>,
    live_runs: Arc<LiveRuns>,
    list_feed: Arc<RunListFeed>,
    /// Rung for notifications that are to be delivered.
    outbox: Arc<watch::Sender<u64>>,
    group: GroupCommit,
    jobs: mpsc::Receiver<Job>,
    /// What was held back while the disk was full; it goes before what comes.
    held: VecDeque<Job>,
    shares: Shares,
    health: Arc<Health>,
    written: Arc<Written>,
}

pub fn new(
    store: Arc<dyn Store>,
    live_runs: Arc<LiveRuns>,
    list_feed: Arc<RunListFeed>,
    outbox: Arc<watch::Sender<u64>>,
    group: GroupCommit,
) -> (Handle, WriterTask) {
    let (sender, jobs) = mpsc::channel(WAITING);
    let (written, health) = (Arc::<Written>::default(), Arc::<Health>::default());
    let handle = Handle { jobs: sender, written: Arc::clone(&written), health: Arc::clone(&health), patience: None };
    let (held, shares) = (VecDeque::new(), Shares::default());
    (handle, WriterTask { store, live_runs, list_feed, outbox, group, jobs, held, shares, health, written })
}

/// Why a batch was not written yet.
enum Waits {
    /// The disk is full.
    ForRoom(Vec<Job>),
    /// One of it does not fit the database.
    Unfit(Vec<Job>, StoreError),
}

impl WriterTask {
    /// Writes until there is nobody left to write for.
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

    /// `first`, what already waits, and, while that is little, what comes until then; up to a size.
    async fn collect(&mut self, first: Job, until: Option<Instant>) -> Vec<Job> {
        let mut size = self.weight(&first.op);
        let mut jobs = vec![first];
        while size < self.group.size {
            let waiting = self.held.pop_front().or_else(|| self.jobs.try_recv().ok());
            let next = match (waiting, until) {
                (Some(job), _) => Some(job),
                (None, Some(until)) if size < self.group.enough => {
                    time::timeout_at(until, self.jobs.recv()).await.ok().flatten()
                }
                (None, _) => None,
            };
            let Some(job) = next else { break };
            size += self.weight(&job.op);
            jobs.push(job);
        }
        jobs
    }

    /// About how many bytes of a transaction it takes.
    fn weight(&self, op: &Op) -> usize {
        match op {
            Op::Create(_) => 1024,
            Op::Mark(_) | Op::Probe => 256,
            Op::Trigger(op, _) => op.size(),
            Op::Access(..) => 1024,
            Op::Write(write) => write.size(),
            // Nothing is added to it: what comes after waits for one step of this and not for a whole transaction
            // besides.
            Op::Clear(_) => self.group.size,
        }
    }

    async fn commit(&mut self, jobs: Vec<Job>) {
        match self.commit_all(jobs).await {
            Ok(()) => {}
            Err(Waits::ForRoom(jobs)) => self.wait_for_room(jobs).await,
            Err(Waits::Unfit(jobs, error)) if jobs.len() == 1 => {
                jobs.into_iter().for_each(|job| job.answer(Err(error.clone().into())));
            }
            // The others must not suffer for it.
            Err(Waits::Unfit(jobs, _)) => {
                let mut jobs = VecDeque::from(jobs);
                while let Some(job) = jobs.pop_front() {
                    match self.commit_all(vec![job]).await {
                        Ok(()) => {}
                        Err(Waits::Unfit(jobs, error)) => {
                            jobs.into_iter().for_each(|job| job.answer(Err(error.clone().into())));
                        }
                        Err(Waits::ForRoom(mut waits)) => {
                            waits.extend(jobs);
                            return self.wait_for_room(waits).await;
                        }
                    }
                }
            }
        }
    }

    /// Commits and answers, again and again while the database is locked or away. Those that are withdrawn meanwhile
    /// are left out.
    async fn commit_all(&mut self, mut jobs: Vec<Job>) -> Result<(), Waits> {
        let mut pause = FIRST_PAUSE;
        loop {
            jobs.retain(Job::begin);
            if jobs.is_empty() {
                return Ok(());
            }
            let note = self.health.waited().and_then(|(kind, waited)| outage_note(kind, waited));
            let (ops, askers) = split(jobs);
            self.health.began();
            let written = match &note {
                None => self.store.commit(&ops).await,
                Some(note) => self.store.commit(&ops.iter().map(|op| noted(op, note)).collect::<Vec<_>>()).await,
            };
            let error = match written {
                Ok(outcomes) => {
                    self.health.succeeded();
                    self.tell(&ops, &outcomes);
                    askers.into_iter().zip(outcomes).for_each(|(asker, outcome)| asker.answer(Ok(outcome)));
                    return Ok(());
                }
                Err(error) => error,
            };
            jobs = back(ops, askers);
            if !error.is_retryable() {
                self.health.succeeded();
                return Err(Waits::Unfit(jobs, error));
            }
            self.health.failed(&error);
            if matches!(error, StoreError::Full(_)) {
                return Err(Waits::ForRoom(jobs));
            }
            time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Tells the readers what was written.
    fn tell(&mut self, ops: &[Op], outcomes: &[Outcome]) {
        if ops.iter().any(|op| !matches!(op, Op::Probe)) {
            self.written.commits.fetch_add(1, Ordering::Relaxed);
        }
        for (op, outcome) in ops.iter().zip(outcomes) {
            self.shares.note(op, outcome);
            match (op, outcome) {
                // A heartbeat extends a lease without a frame; there is nothing to tell.
                (_, Outcome::Committed(committed)) if !committed.frames.is_empty() => {
                    self.written.frames.fetch_add(committed.frames.len() as u64, Ordering::Relaxed);
                    self.live_runs.publish(committed);
                }
                (Op::Write(Write { run, change: Change::Delete { .. }, .. }), Outcome::Committed(_)) => {
                    self.live_runs.mark_deleted(*run);
                }
                _ => {}
            }
        }
        let deliveries: usize = outcomes.iter().map(deliveries).sum();
        if deliveries > 0 {
            self.outbox.send_if_modified(|count| {
                *count += deliveries as u64;
                true
            });
        }
        self.list_feed.publish(ops.iter().zip(outcomes).filter_map(|(op, outcome)| listed(op, outcome)));
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

/// The op, with a note at its end if it is activity that has waited: its lines were printed before.
fn noted(op: &Op, note: &FramePayload) -> Op {
    let mut op = op.clone();
    if let (Some(_), Op::Write(write)) = (activity(&op), &mut op)
        && let Some(last) = write.frames.last()
    {
        let (ts, phase) = (last.ts, last.phase.clone());
        write.frames.push(NewFrame { ts, phase, kind: note.kind().into(), data: note.data().into() });
    }
    op
}

fn deliveries(outcome: &Outcome) -> usize {
    if let Outcome::Committed(committed) = outcome { committed.deliveries } else { 0 }
}

/// What the list shows of what was done, if it does.
fn listed(op: &Op, outcome: &Outcome) -> Option<RunListEvent> {
    match (op, outcome) {
        (_, Outcome::Created(created)) => created.new.then_some(RunListEvent::Changed(created.key)),
        (Op::Write(write), Outcome::Committed(committed)) => {
            let run = committed.run;
            match &write.change {
                Change::None | Change::Extend { .. } | Change::Try { .. } | Change::Tried { .. } => {
                    (!write.phases.is_empty()).then_some(RunListEvent::Changed(run))
                }
                Change::Claim { .. }
                | Change::Enter { .. }
                | Change::Ask { .. }
                | Change::Answer(_)
                | Change::AskCancel(_)
                | Change::Resume { .. }
                | Change::Queue { .. } => Some(RunListEvent::Changed(run)),
                Change::Finish { .. } if committed.pulse.status.is_active() => Some(RunListEvent::Changed(run)),
                Change::Finish { .. } | Change::Withdraw | Change::Pin { .. } => Some(RunListEvent::BecameFinal(run)),
                Change::Delete { id } => Some(RunListEvent::Deleted(run, id.clone())),
            }
        }
        (
            Op::Create(_) | Op::Clear(_) | Op::Mark(_) | Op::Probe | Op::Trigger(..) | Op::Access(..),
            Outcome::Committed(_),
        )
        | (
            _,
            Outcome::KeyConflict
            | Outcome::KeyOfDeleted
            | Outcome::QueueFull
            | Outcome::Cleared { .. }
            | Outcome::Marked
            | Outcome::Nothing
            | Outcome::Skipped(_)
            | Outcome::Triggered
            | Outcome::Refused,
        ) => None,
    }
}
