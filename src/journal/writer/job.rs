//! Commands on their way to the writer, and the handle that submits them.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::journal::WriteError;
use crate::journal::health::Health;
use crate::journal::sync::time::{self, Instant};
use crate::store::{StoreCommand, WriteOutcome};

/// How long a caller waits for the end of the commit under way before it withdraws again.
const WITHDRAW_RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// How many jobs may wait for the writer. Callers beyond that wait in turn, and so in the end does the process that
/// prints.
pub(super) const MAX_WAITING_JOBS: usize = 256;

/// A command and its caller.
pub(super) struct Job {
    pub(super) command: StoreCommand,
    caller: JobCaller,
}

/// Who submitted a command and waits for what becomes of it.
pub(super) struct JobCaller {
    state: Arc<JobState>,
    answer: oneshot::Sender<Result<WriteOutcome, WriteError>>,
}

impl JobCaller {
    pub(super) fn answer(self, result: Result<WriteOutcome, WriteError>) {
        // The caller may be gone; what was written stays written.
        let _ = self.answer.send(result);
    }
}

impl Job {
    pub(super) fn answer(self, result: Result<WriteOutcome, WriteError>) {
        self.caller.answer(result);
    }

    /// A commit begins. `false` if it was withdrawn.
    pub(super) fn begin(&self) -> bool {
        self.caller.state.begin()
    }
}

pub(super) fn split(jobs: Vec<Job>) -> (Vec<StoreCommand>, Vec<JobCaller>) {
    jobs.into_iter().map(|Job { command, caller }| (command, caller)).unzip()
}

/// The jobs of a commit that was not made.
pub(super) fn rejoin(commands: Vec<StoreCommand>, callers: Vec<JobCaller>) -> Vec<Job> {
    callers.iter().for_each(|caller| caller.state.end());
    commands.into_iter().zip(callers).map(|(command, caller)| Job { command, caller }).collect()
}

/// Whether a job may be withdrawn: not while its commit is under way, whose result is not known yet.
#[derive(Default)]
struct JobState(AtomicU8);

impl JobState {
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

/// Submits commands to the writer. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) written: Arc<Written>,
    pub(in crate::journal) health: Arc<Health>,
    /// How long a caller waits for the database. `None`: as long as it takes.
    pub(super) patience: Option<Duration>,
}

impl Handle {
    /// The handle for callers that want an answer within about this time: what is not written by then is withdrawn, and
    /// never happens.
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self.clone() }
    }

    /// Has the writer carry out a command. When this returns, it is durable and published to readers.
    ///
    /// # Errors
    /// The database did not accept it, or not in time, or the journal is closed. Then it never happens.
    pub async fn submit(&self, command: StoreCommand) -> Result<WriteOutcome, WriteError> {
        let (answer, answered) = oneshot::channel();
        let state = Arc::<JobState>::default();
        let job = Job { command, caller: JobCaller { state: Arc::clone(&state), answer } };
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
                Err(_) => until = Instant::now() + WITHDRAW_RETRY_INTERVAL,
            }
        }
        let mut answered = pin!(answered);
        loop {
            match time::timeout_at(until, answered.as_mut()).await {
                Ok(answer) => return answer.map_err(|_| WriteError::Closed)?,
                // If the writer is only slow, or the machine was suspended, the answer comes in a moment.
                Err(_) if self.health.is_waiting() && state.withdraw() => return Err(self.health.error().into()),
                Err(_) => until = Instant::now() + WITHDRAW_RETRY_INTERVAL,
            }
        }
    }

    /// How many transactions and how many frames were written since the start.
    pub fn written(&self) -> (u64, u64) {
        (self.written.commits.load(Ordering::Relaxed), self.written.frames.load(Ordering::Relaxed))
    }
}
