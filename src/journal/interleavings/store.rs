//! A small store in memory, for the checker: each call is one transaction, and between the calls anything may happen.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, Weak};

use async_trait::async_trait;
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::journal::tail::Tails;
use crate::model::kinds::Patch;
use crate::model::queue::QueuedRun;
use crate::model::review::FindingFilter;
use crate::model::{DatabaseSize, FrameRecord, Params, Pin, Retention, Run, RunFilter, RunId, Status, Timestamp};
use crate::store::{
    Assignment, AttemptStore, Change, Committed, Created, Delivery, Findings, Guard, JournalStore, Kept, Op,
    OutboxStore, Outcome, Outdated, PatchRow, Pulse, RetentionStore, ReviewStore, RunKey, RunStore, StoreError, View,
    ViewPart, Write,
};

type Runs = BTreeMap<RunKey, Row>;

/// A run and its journal.
#[derive(Clone)]
struct Row {
    pulse: Pulse,
    token: i64,
    frames: Vec<FrameRecord>,
}

/// The store.
#[derive(Default)]
pub struct Memory {
    /// What is committed. Its lock is the transaction.
    runs: Mutex<Runs>,
    /// Whether calls fail now and then, as on a busy database.
    busy: bool,
    /// For the mutant that tells before it commits: whom it tells.
    pub told_early: std::sync::Mutex<Weak<Tails>>,
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
    /// A store that fails now and then.
    pub fn busy() -> Self {
        Self { busy: true, ..Self::default() }
    }

    fn may_fail(&self) -> Result<(), StoreError> {
        match self.busy && thread_rng().gen_ratio(1, 8) {
            true => Err(StoreError::Unavailable(Arc::new(sqlx::Error::PoolTimedOut))),
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
    pub fn head(&self, key: RunKey) -> u64 {
        self.with(key, |row| row.frames.len() as u64).unwrap()
    }
}

fn run(Pulse { head, status, attempt }: Pulse) -> Run {
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
        pin: Pin::default(),
    }
}

fn carry_out(runs: &mut Runs, op: &Op) -> Outcome {
    match op {
        Op::Create(_) => {
            let key = RunKey(runs.len() as i64 + 1);
            let pulse = Pulse { head: 0, status: Status::Pending, attempt: 1 };
            runs.insert(key, Row { pulse, token: 0, frames: Vec::new() });
            Outcome::Created(Created { key, new: true, run: Box::new(run(pulse)) })
        }
        Op::Write(write) => {
            let outcome = runs.get_mut(&write.run).map_or(Outcome::Refused, |row| change(row, write));
            if let (Change::Delete { .. }, Outcome::Committed(_)) = (&write.change, &outcome) {
                runs.remove(&write.run);
            }
            outcome
        }
        Op::Probe => Outcome::Nothing,
        Op::Clear(_) => Outcome::Refused,
        Op::Mark(_) | Op::Trigger(..) | Op::Access(..) => unreachable!("no schedules here"),
    }
}

fn change(row: &mut Row, write: &Write) -> Outcome {
    let Pulse { status, attempt, .. } = row.pulse;
    let holds = match write.guard {
        Guard::Lease(lease) => (status, attempt, row.token) == (Status::Running, lease.attempt, lease.token),
        Guard::Standing(at, of) => (status, attempt) == (at, of),
        Guard::There => true,
        Guard::Lapsed { .. } | Guard::Asked(..) | Guard::Answered(_) | Guard::Delivery(..) => false,
    };
    if !holds {
        return Outcome::Refused;
    }
    match &write.change {
        Change::Claim { .. } => (row.pulse.status, row.token) = (Status::Running, row.token + 1),
        Change::Finish { to, .. } => row.pulse.status = to.status(),
        _ => {}
    }
    let frames = write.records(row.pulse.head + 1, attempt);
    row.pulse.head += frames.len() as u64;
    row.frames.extend(frames.iter().cloned());
    Outcome::Committed(Committed {
        run: write.run,
        pulse: row.pulse,
        token: row.token,
        cancel_by: None,
        deliveries: 0,
        clock: write.at,
        frames,
        left: write.change.is_asked().then(|| Box::new(run(row.pulse))),
    })
}

fn committed(outcomes: &[Outcome]) -> impl Iterator<Item = &Committed> {
    outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Committed(committed) => Some(committed),
        _ => None,
    })
}

#[async_trait]
impl JournalStore for Memory {
    async fn commit(&self, ops: &[Op]) -> Result<Vec<Outcome>, StoreError> {
        self.may_fail()?;
        let early = self.told_early.lock().unwrap().upgrade();
        if let Some(tails) = early {
            let mut draft = lock(&self.runs).clone();
            let outcomes: Vec<Outcome> = ops.iter().map(|op| carry_out(&mut draft, op)).collect();
            committed(&outcomes).for_each(|committed| tails.publish(committed));
        }
        let mut runs = lock(&self.runs);
        let outcomes: Vec<Outcome> = ops.iter().map(|op| carry_out(&mut runs, op)).collect();
        drop(runs);
        for queue in self.queues.lock().unwrap().iter() {
            for frame in committed(&outcomes).flat_map(|committed| &committed.frames) {
                // Who listened may be gone.
                let _ = queue.send(frame.clone());
            }
        }
        Ok(outcomes)
    }

    async fn pulse(&self, key: RunKey) -> Result<Pulse, StoreError> {
        self.with(key, |row| row.pulse)
    }

    async fn frames(&self, key: RunKey, after: u64, limit: u32) -> Result<(Vec<FrameRecord>, Pulse), StoreError> {
        self.may_fail()?;
        self.pages.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let page = self.with(key, |row| {
            let frames = row.frames.iter().skip(after as usize).take(limit as usize);
            (frames.cloned().collect(), row.pulse)
        });
        // The answer takes its time, and who asked may have gone away meanwhile.
        shuttle::future::yield_now().await;
        page
    }
}

/// Of all this the journal asks only how a run stands.
#[async_trait]
impl RunStore for Memory {
    async fn run(&self, key: RunKey) -> Result<Option<Run>, StoreError> {
        self.runs_read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // The answer takes its time.
        shuttle::future::yield_now().await;
        match self.pulse(key).await {
            Err(StoreError::Gone) => Ok(None),
            pulse => pulse.map(|pulse| Some(run(pulse))),
        }
    }

    async fn find(&self, _: &RunId) -> Result<Option<(RunKey, Pulse)>, StoreError> {
        unreachable!()
    }
    async fn by_idempotency_key(&self, _: &str) -> Result<Option<(Option<RunKey>, Vec<u8>)>, StoreError> {
        unreachable!()
    }
    async fn pin(&self, _: RunKey) -> Result<Option<Pin>, StoreError> {
        unreachable!()
    }
    async fn view(&self, _: &RunId, _: &ViewPart) -> Result<Option<View>, StoreError> {
        unreachable!()
    }
    async fn list(&self, _: &RunFilter, _: u32, _: Option<&RunId>) -> Result<(Vec<Run>, Option<RunId>), StoreError> {
        unreachable!()
    }
    async fn assignment(&self, _: RunKey) -> Result<Option<Assignment>, StoreError> {
        unreachable!()
    }
    async fn waiting(&self, _: u32) -> Result<Vec<(RunKey, u32)>, StoreError> {
        unreachable!()
    }
    async fn queue(&self, _: u32) -> Result<(u64, Vec<QueuedRun>), StoreError> {
        unreachable!()
    }
    async fn active_in(&self, _: &str) -> Result<Option<RunId>, StoreError> {
        unreachable!()
    }
    async fn superseded(&self) -> Result<Vec<(RunKey, RunId)>, StoreError> {
        unreachable!()
    }
    async fn answered(&self, _: u32) -> Result<Vec<(RunKey, u32, bool)>, StoreError> {
        unreachable!()
    }
    async fn asked(&self) -> Result<Vec<(RunId, u32)>, StoreError> {
        unreachable!()
    }
    async fn outputs(&self, _: RunKey, _: u32) -> Result<Vec<crate::store::Outputs>, StoreError> {
        unreachable!()
    }
    async fn secrets(&self, _: RunKey) -> Result<crate::store::StoredSecrets, StoreError> {
        unreachable!()
    }
    async fn lapsed(&self, _: Timestamp) -> Result<Vec<(RunKey, u32)>, StoreError> {
        unreachable!()
    }
    async fn marks(&self) -> Result<std::collections::BTreeMap<(String, String), Timestamp>, StoreError> {
        unreachable!()
    }
    async fn counts(&self) -> Result<Vec<(Status, u64)>, StoreError> {
        unreachable!()
    }
}

#[async_trait]
impl ReviewStore for Memory {
    async fn findings(&self, _: RunKey, _: u32, _: &FindingFilter, _: u32) -> Result<Findings, StoreError> {
        unreachable!()
    }
    async fn review_counts(&self, _: RunKey, _: u32) -> Result<crate::model::review::ReviewCounts, StoreError> {
        unreachable!()
    }
    async fn patches(&self, _: RunKey, _: u32) -> Result<Vec<PatchRow>, StoreError> {
        unreachable!()
    }
    async fn patch(&self, _: RunKey, _: u64) -> Result<Option<Patch>, StoreError> {
        unreachable!()
    }
}

#[async_trait]
impl AttemptStore for Memory {
    async fn attempts(
        &self,
        _: RunKey,
        _: Option<u32>,
        _: u32,
    ) -> Result<Vec<crate::model::attempt::Attempt>, StoreError> {
        unreachable!()
    }
    async fn log_of(&self, _: RunKey, _: Arc<str>, _: u64, _: u64) -> Result<(Vec<FrameRecord>, u64), StoreError> {
        unreachable!()
    }
    async fn redrawn(&self, _: RunKey, _: u64, _: u64) -> Result<(Vec<(u64, FrameRecord)>, u64), StoreError> {
        unreachable!()
    }
}

#[async_trait]
impl RetentionStore for Memory {
    async fn kept(&self) -> Result<Vec<Kept>, StoreError> {
        unreachable!()
    }
    async fn outdated(&self, _: &str, _: Retention, _: Timestamp, _: u32) -> Result<Vec<Outdated>, StoreError> {
        unreachable!()
    }
    async fn deleted(&self, _: RunKey, _: u32) -> Result<Vec<(RunKey, RunId)>, StoreError> {
        unreachable!()
    }
    async fn size(&self) -> Result<DatabaseSize, StoreError> {
        unreachable!()
    }
}

impl crate::store::TriggerStore for Memory {}

impl crate::store::AccessStore for Memory {}

#[async_trait]
impl OutboxStore for Memory {
    async fn due(&self, _: Timestamp, _: u32, _: u32) -> Result<Vec<Delivery>, StoreError> {
        unreachable!()
    }
    async fn next_due(&self, _: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        unreachable!()
    }
}
