//! A small database in memory, for the checker: each call is one transaction, and between the calls anything may
//! happen.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, Weak};

use async_trait::async_trait;
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::journal::JournalBackend;
use crate::journal::live_runs::LiveRuns;
use crate::model::{FrameRecord, Params, Pin, Run, Status, Timestamp};
use crate::store::{
    Committed, Created, JournalHead, LeaseHolder, RunCommand, RunKey, RunWrite, StoreCommand, StoreError, WriteOutcome,
};

type Runs = BTreeMap<RunKey, Row>;

/// A run and its journal.
#[derive(Clone)]
struct Row {
    journal: JournalHead,
    token: i64,
    frames: Vec<FrameRecord>,
}

/// The database.
#[derive(Default)]
pub struct Memory {
    /// What is committed. Its lock is the transaction.
    runs: Mutex<Runs>,
    /// Whether calls fail now and then, as on a busy database.
    busy: bool,
    /// For the mutant that publishes before it commits: where it publishes.
    pub publishes_early: std::sync::Mutex<Weak<LiveRuns>>,
    /// For the mutants with a live queue: one for each listener, filled after the commit.
    queues: std::sync::Mutex<Vec<UnboundedSender<FrameRecord>>>,
    /// How many pages were read. Counted without a step.
    pub pages: std::sync::atomic::AtomicUsize,
    /// How many runs were read for the list.
    pub runs_read: std::sync::atomic::AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> shuttle::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    /// A database that fails now and then.
    pub fn busy() -> Self {
        Self { busy: true, ..Self::default() }
    }

    fn may_fail(&self) -> Result<(), StoreError> {
        match self.busy && thread_rng().gen_ratio(1, 8) {
            true => Err(StoreError::Unavailable(Arc::new(std::io::Error::other("busy")))),
            false => Ok(()),
        }
    }

    /// A live queue of what is committed from now on.
    pub fn queue(&self) -> UnboundedReceiver<FrameRecord> {
        let (sender, receiver) = unbounded_channel();
        self.queues.lock().unwrap().push(sender);
        receiver
    }

    fn with<T>(&self, key: RunKey, read: impl FnOnce(&Row) -> T) -> Result<T, StoreError> {
        lock(&self.runs).get(&key).map(read).ok_or(StoreError::Gone)
    }

    /// The last committed seq.
    pub fn last_seq(&self, key: RunKey) -> u64 {
        self.with(key, |row| row.frames.len() as u64).unwrap()
    }
}

fn run(JournalHead { head, status, attempt }: JournalHead) -> Run {
    Run {
        id: super::id(),
        pipeline: "p".into(),
        status,
        phase: None,
        attempt,
        params: Params::new(),
        priority: 0,
        created_at: Timestamp(0),
        queued_at: Timestamp(0),
        started_at: None,
        finished_at: None,
        head,
        phases: Vec::new(),
        error: None,
        approval: None,
        cancel: None,
        origin: None,
        waiting_for: None,
        pin: Pin::default(),
    }
}

fn apply(runs: &mut Runs, command: &StoreCommand) -> WriteOutcome {
    match command {
        StoreCommand::CreateRun(_) => {
            let key = RunKey(runs.len() as i64 + 1);
            let journal = JournalHead { head: 0, status: Status::Pending, attempt: 1 };
            runs.insert(key, Row { journal, token: 0, frames: Vec::new() });
            WriteOutcome::Created(Created { key, is_new: true, run: Box::new(run(journal)) })
        }
        StoreCommand::Run(write) => {
            let outcome = runs.get_mut(&write.run()).map_or(WriteOutcome::Refused, |row| change(row, write));
            if let (RunCommand::DeleteRun(_), WriteOutcome::Committed(_)) = (&write.command, &outcome) {
                runs.remove(&write.run());
            }
            outcome
        }
        StoreCommand::Probe => WriteOutcome::Done,
        StoreCommand::Purge(_) | StoreCommand::RecordHookDelivery(_) | StoreCommand::Guarded(..) => {
            WriteOutcome::Refused
        }
    }
}

fn change(row: &mut Row, write: &RunWrite) -> WriteOutcome {
    let JournalHead { status, attempt, .. } = row.journal;
    let (is_accepted, becomes) = match &write.command {
        RunCommand::ClaimRun(claim) => ((status, attempt) == (Status::Pending, claim.attempt), Status::Running),
        RunCommand::AppendFrames(append) => {
            let lease = append.lease;
            ((status, attempt, row.token) == (Status::Running, lease.attempt, lease.token), status)
        }
        RunCommand::FinishAttempt(finish) => match finish.holder {
            LeaseHolder::Worker(lease) => {
                ((status, attempt, row.token) == (Status::Running, lease.attempt, lease.token), finish.to.status())
            }
            LeaseHolder::Expired { .. } => (false, status),
        },
        RunCommand::DeleteRun(delete) => ((status, attempt) == (delete.status, delete.attempt), status),
        _ => (false, status),
    };
    if !is_accepted {
        return WriteOutcome::Refused;
    }
    row.journal.status = becomes;
    row.token += i64::from(matches!(write.command, RunCommand::ClaimRun(_)));
    let frames = write.records(row.journal.head + 1, attempt);
    row.journal.head += frames.len() as u64;
    row.frames.extend(frames.iter().cloned());
    WriteOutcome::Committed(Committed {
        run: write.run(),
        journal: row.journal,
        token: row.token,
        cancel_by: None,
        deliveries: 0,
        clock: write.at,
        frames,
        run_after: None,
    })
}

fn committed(outcomes: &[WriteOutcome]) -> impl Iterator<Item = &Committed> {
    outcomes.iter().filter_map(|outcome| match outcome {
        WriteOutcome::Committed(committed) => Some(committed),
        _ => None,
    })
}

#[async_trait]
impl JournalBackend for Memory {
    async fn commit(&self, commands: &[StoreCommand]) -> Result<Vec<WriteOutcome>, StoreError> {
        self.may_fail()?;
        let early = self.publishes_early.lock().unwrap().upgrade();
        if let Some(live_runs) = early {
            let mut draft = lock(&self.runs).clone();
            let outcomes: Vec<_> = commands.iter().map(|command| apply(&mut draft, command)).collect();
            committed(&outcomes).for_each(|committed| live_runs.publish(committed));
        }
        let mut runs = lock(&self.runs);
        let outcomes: Vec<_> = commands.iter().map(|command| apply(&mut runs, command)).collect();
        drop(runs);
        for queue in self.queues.lock().unwrap().iter() {
            for frame in committed(&outcomes).flat_map(|committed| &committed.frames) {
                // The listener may be gone.
                let _ = queue.send(frame.clone());
            }
        }
        Ok(outcomes)
    }

    async fn head(&self, key: RunKey) -> Result<JournalHead, StoreError> {
        self.with(key, |row| row.journal)
    }

    async fn frames(&self, key: RunKey, after: u64, limit: u32) -> Result<(Vec<FrameRecord>, JournalHead), StoreError> {
        self.may_fail()?;
        self.pages.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let page = self.with(key, |row| {
            let frames = row.frames.iter().skip(after as usize).take(limit as usize);
            (frames.cloned().collect(), row.journal)
        });
        // The answer takes its time, and the caller may be dropped meanwhile.
        shuttle::future::yield_now().await;
        page
    }

    async fn run(&self, key: RunKey) -> Result<Option<Run>, StoreError> {
        self.runs_read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // The answer takes its time.
        shuttle::future::yield_now().await;
        match self.with(key, |row| row.journal) {
            Err(StoreError::Gone) => Ok(None),
            journal => journal.map(|journal| Some(run(journal))),
        }
    }
}
