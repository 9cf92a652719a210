//! The writer: one task that owns all writing. Collect, commit, and only then tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::WriteError;
use super::changes::{Changes, News};
use super::sync::time::{self, Instant};
use super::sync::watch;
use super::tail::Tails;
use crate::store::{Change, Op, Outcome, Store, StoreError, Write};

/// How writes are put together.
#[derive(Clone, Copy, Debug)]
pub struct GroupCommit {
    /// While commits follow each other, the least time from one to the next. The first after a pause does not wait.
    pub interval: Duration,
    /// About how many bytes of frames are worth a commit at once: with so many the interval is not waited for.
    pub enough: usize,
    /// About how many bytes of frames one transaction takes.
    pub size: usize,
    /// How long a commit is tried while the database is busy or away.
    pub patience: Duration,
}

impl Default for GroupCommit {
    fn default() -> Self {
        Self { interval: Duration::from_millis(1), enough: 64 << 10, size: 1 << 20, patience: Duration::from_secs(30) }
    }
}

/// How many writes may wait for the writer. Who comes then waits in turn, and so in the end does the child that prints.
const WAITING: usize = 256;

struct Job {
    op: Op,
    answer: oneshot::Sender<Result<Outcome, WriteError>>,
}

/// How much was written since the start.
#[derive(Default)]
struct Written {
    commits: AtomicU64,
    frames: AtomicU64,
}

/// The way to the writer.
#[derive(Clone)]
pub struct Handle {
    jobs: mpsc::Sender<Job>,
    written: Arc<Written>,
}

impl Handle {
    /// Carries out `op`. When this returns, it is durable and readers have heard of it.
    ///
    /// # Errors
    /// The database did not take it, or the journal is closed.
    pub async fn carry_out(&self, op: Op) -> Result<Outcome, WriteError> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { op, answer }).await.map_err(|_| WriteError::Closed)?;
        answered.await.map_err(|_| WriteError::Closed)?
    }

    /// How many transactions and how many frames were written since the start.
    pub fn written(&self) -> (u64, u64) {
        (self.written.commits.load(Ordering::Relaxed), self.written.frames.load(Ordering::Relaxed))
    }
}

/// The writer's task. Ends when the last handle is gone and all that was sent is written.
pub struct WriterTask {
    store: Arc<dyn Store>,
    tails: Arc<Tails>,
    changes: Arc<Changes>,
    /// Rung for notifications that are to be delivered.
    outbox: Arc<watch::Sender<u64>>,
    group: GroupCommit,
    jobs: mpsc::Receiver<Job>,
    written: Arc<Written>,
}

pub fn new(
    store: Arc<dyn Store>,
    tails: Arc<Tails>,
    changes: Arc<Changes>,
    outbox: Arc<watch::Sender<u64>>,
    group: GroupCommit,
) -> (Handle, WriterTask) {
    let (sender, jobs) = mpsc::channel(WAITING);
    let written = Arc::<Written>::default();
    (
        Handle { jobs: sender, written: Arc::clone(&written) },
        WriterTask { store, tails, changes, outbox, group, jobs, written },
    )
}

impl WriterTask {
    /// Writes until there is nobody left to write for.
    pub async fn run(mut self) {
        let mut last_commit: Option<Instant> = None;
        while let Some(first) = self.jobs.recv().await {
            let until = last_commit.map(|at| at + self.group.interval);
            let jobs = self.collect(first, until).await;
            last_commit = Some(Instant::now());
            self.commit(jobs).await;
        }
    }

    /// `first`, what already waits, and, while that is little, what comes until then; up to a size.
    async fn collect(&mut self, first: Job, until: Option<Instant>) -> Vec<Job> {
        let mut size = self.weight(&first.op);
        let mut jobs = vec![first];
        while size < self.group.size {
            let next = match (self.jobs.try_recv(), until) {
                (Ok(job), _) => Some(job),
                (Err(_), Some(until)) if size < self.group.enough => {
                    time::timeout_at(until, self.jobs.recv()).await.ok().flatten()
                }
                (Err(_), _) => None,
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
            Op::Mark(_) => 256,
            Op::Trigger(op) => op.size(),
            Op::Write(write) => write.size(),
            // Nothing is added to it: what comes after waits for one step of this and not for a whole transaction besides.
            Op::Clear(_) => self.group.size,
        }
    }

    async fn commit(&self, jobs: Vec<Job>) {
        let (ops, answers): (Vec<Op>, Vec<_>) = jobs.into_iter().map(|job| (job.op, job.answer)).unzip();
        let results = match self.try_commit(&ops).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(error) if error.is_retryable() || ops.len() == 1 => vec![Err(WriteError::Store(error)); ops.len()],
            // One of them does not fit the database; the others must not suffer for it.
            Err(_) => {
                let mut results = Vec::with_capacity(ops.len());
                for op in &ops {
                    let outcome = self.try_commit(std::slice::from_ref(op)).await;
                    results.push(
                        outcome.map_err(WriteError::Store).and_then(|mut one| one.pop().ok_or(WriteError::Closed)),
                    );
                }
                results
            }
        };
        for (answer, result) in answers.into_iter().zip(results) {
            // Who asked may be gone; what was written stays written.
            let _ = answer.send(result);
        }
    }

    /// Commits, again and again while the database is busy, and then tells the readers.
    async fn try_commit(&self, ops: &[Op]) -> Result<Vec<Outcome>, StoreError> {
        let give_up = Instant::now() + self.group.patience;
        let mut pause = Duration::from_millis(10);
        let outcomes = loop {
            match self.store.commit(ops).await {
                Err(error) if error.is_retryable() && Instant::now() + pause < give_up => {
                    tracing::warn!(%error, "the journal waits for the database");
                    time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
                result => break result?,
            }
        };
        self.written.commits.fetch_add(1, Ordering::Relaxed);
        for (op, outcome) in ops.iter().zip(&outcomes) {
            match (op, outcome) {
                // A heartbeat extends a lease without a frame; there is nothing to tell.
                (_, Outcome::Committed(committed)) if !committed.frames.is_empty() => {
                    self.written.frames.fetch_add(committed.frames.len() as u64, Ordering::Relaxed);
                    self.tails.publish(committed);
                }
                (Op::Write(Write { run, change: Change::Delete { .. }, .. }), Outcome::Committed(_)) => {
                    self.tails.close(*run);
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
        self.changes.publish(ops.iter().zip(&outcomes).filter_map(|(op, outcome)| listed(op, outcome)));
        Ok(outcomes)
    }
}

fn deliveries(outcome: &Outcome) -> usize {
    if let Outcome::Committed(committed) = outcome { committed.deliveries } else { 0 }
}

/// What the list shows of what was done, if it does.
fn listed(op: &Op, outcome: &Outcome) -> Option<News> {
    match (op, outcome) {
        (_, Outcome::Created(created)) => created.new.then_some(News::Changed(created.key)),
        (Op::Write(write), Outcome::Committed(committed)) => {
            let run = committed.run;
            match &write.change {
                Change::None
                | Change::Extend { .. }
                | Change::AskCancel { .. }
                | Change::Try { .. }
                | Change::Tried { .. } => (!write.phases.is_empty()).then_some(News::Changed(run)),
                Change::Claim { .. }
                | Change::Enter { .. }
                | Change::Ask { .. }
                | Change::Answer(_)
                | Change::Resume { .. }
                | Change::Queue { .. } => Some(News::Changed(run)),
                Change::Finish { .. } if committed.pulse.status.is_active() => Some(News::Changed(run)),
                Change::Finish { .. } | Change::Withdraw | Change::Pin { .. } => Some(News::Ended(run)),
                Change::Delete { id } => Some(News::Deleted(run, id.clone())),
            }
        }
        (Op::Create(_) | Op::Clear(_) | Op::Mark(_) | Op::Trigger(_), Outcome::Committed(_))
        | (
            _,
            Outcome::KeyConflict
            | Outcome::KeyOfDeleted
            | Outcome::Cleared { .. }
            | Outcome::Marked
            | Outcome::Skipped(_)
            | Outcome::Triggered
            | Outcome::Refused,
        ) => None,
    }
}
