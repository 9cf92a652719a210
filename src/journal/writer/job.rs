//! What the writer is asked to do, and the way to it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::journal::WriteError;
use crate::journal::health::Health;
use crate::journal::sync::time::{self, Instant};
use crate::store::{Op, Outcome};

/// How long one who withdraws waits for the end of the try that is under way.
const WITHDRAW_AGAIN: Duration = Duration::from_millis(20);

/// How many writes may wait for the writer. Who comes then waits in turn, and so in the end does the child that prints.
pub(super) const WAITING: usize = 256;

pub(super) struct Job {
    pub(super) op: Op,
    asker: Asker,
}

/// Who asked for a job and waits for the answer.
pub(super) struct Asker {
    turn: Arc<Turn>,
    answer: oneshot::Sender<Result<Outcome, WriteError>>,
}

impl Asker {
    pub(super) fn answer(self, result: Result<Outcome, WriteError>) {
        // Who asked may be gone; what was written stays written.
        let _ = self.answer.send(result);
    }
}

impl Job {
    pub(super) fn answer(self, result: Result<Outcome, WriteError>) {
        self.asker.answer(result);
    }

    /// A commit begins. `false` if it was withdrawn.
    pub(super) fn begin(&self) -> bool {
        self.asker.turn.begin()
    }
}

pub(super) fn split(jobs: Vec<Job>) -> (Vec<Op>, Vec<Asker>) {
    jobs.into_iter().map(|Job { op, asker }| (op, asker)).unzip()
}

/// The jobs of a commit that was not made.
pub(super) fn back(ops: Vec<Op>, askers: Vec<Asker>) -> Vec<Job> {
    askers.iter().for_each(|asker| asker.turn.end());
    ops.into_iter().zip(askers).map(|(op, asker)| Job { op, asker }).collect()
}

/// Whether a job may be withdrawn: not while a commit of it is under way, of which nobody knows yet what comes.
#[derive(Default)]
struct Turn(AtomicU8);

impl Turn {
    const WAITING: u8 = 0;
    const COMMITTING: u8 = 1;
    const WITHDRAWN: u8 = 2;

    fn leave_waiting(&self, to: u8) -> bool {
        self.0.compare_exchange(Self::WAITING, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// A commit begins. `false` if it was withdrawn.
    fn begin(&self) -> bool {
        self.leave_waiting(Self::COMMITTING)
    }

    /// The commit was not made.
    fn end(&self) {
        self.0.store(Self::WAITING, Ordering::SeqCst);
    }

    /// Withdraws the job for good, unless a commit of it is under way.
    fn withdraw(&self) -> bool {
        self.leave_waiting(Self::WITHDRAWN)
    }
}

/// How much was written since the start.
#[derive(Default)]
pub(super) struct Written {
    pub(super) commits: AtomicU64,
    pub(super) frames: AtomicU64,
}

/// The way to the writer.
#[derive(Clone)]
pub struct Handle {
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) written: Arc<Written>,
    pub(in crate::journal) health: Arc<Health>,
    /// How long the database is waited for. `None` for as long as it takes.
    pub(super) patience: Option<Duration>,
}

impl Handle {
    /// The way for who wants an answer within about this time: what is not written by then is withdrawn, and never
    /// happens.
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self.clone() }
    }

    /// Carries out `op`. When this returns, it is durable and readers have heard of it.
    ///
    /// # Errors
    /// The database did not take it, or not in time, or the journal is closed. Then it never happens.
    pub async fn carry_out(&self, op: Op) -> Result<Outcome, WriteError> {
        let (answer, answered) = oneshot::channel();
        let turn = Arc::<Turn>::default();
        let job = Job { op, asker: Asker { turn: Arc::clone(&turn), answer } };
        let Some(patience) = self.patience else {
            self.jobs.send(job).await.map_err(|_| WriteError::Closed)?;
            return answered.await.map_err(|_| WriteError::Closed)?;
        };
        let mut until = Instant::now() + patience;
        let mut place = pin!(self.jobs.reserve());
        loop {
            match time::timeout_at(until, place.as_mut()).await {
                Ok(place) => break place.map_err(|_| WriteError::Closed)?.send(job),
                Err(_) if self.health.is_waiting() => return Err(self.health.error().into()),
                Err(_) => until = Instant::now() + WITHDRAW_AGAIN,
            }
        }
        let mut answered = pin!(answered);
        loop {
            match time::timeout_at(until, answered.as_mut()).await {
                Ok(answer) => return answer.map_err(|_| WriteError::Closed)?,
                // If it is only slow, or the machine stood still, the answer comes in a moment.
                Err(_) if self.health.is_waiting() && turn.withdraw() => return Err(self.health.error().into()),
                Err(_) => until = Instant::now() + WITHDRAW_AGAIN,
            }
        }
    }

    /// How many transactions and how many frames were written since the start.
    pub fn written(&self) -> (u64, u64) {
        (self.written.commits.load(Ordering::Relaxed), self.written.frames.load(Ordering::Relaxed))
    }
}
