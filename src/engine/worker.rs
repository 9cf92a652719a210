//! One attempt of one run, from its claim to its end.
//!
//! Every write carries the lease: once it is gone, the journal refuses, and the worker ends what it started and says no more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::background::Background;
use super::clock::{self, Timed};
use super::confinement::Confined;
use super::interruption::{Cut, close_phases, interrupt};
use super::lease::{Answer, LeaseKeeper};
use super::report::Processes;
use super::sweep::sweep_attempt;
use super::usage::Meter;
use super::verdict::{Finished, cancelled, failed};
use super::workspace::name_of;
use super::{CancelSignal, Shared};
use crate::journal::{MaskGuard, WriteError};
use crate::model::kinds::{Failure, PhaseChange};
use crate::model::limits::Limits;
use crate::model::{FinalStatus, Run, Timestamp, Transition};
use crate::store::{
    AppendFrames, Assignment, ClaimRun, Committed, ExtendLease, Lease, LeaseHolder, NewFrame, ResumeRun, RunKey,
    RunWrite, StoreError,
};

/// How long a worker waits before it asks a database again that did not answer.
const RETRY: Duration = Duration::from_millis(200);

/// A claimed attempt.
pub struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) lease: Lease,
    /// The latest time that the run had when it was claimed.
    latest: Timestamp,
    /// Someone asked for the end of this run.
    pub(super) cancel: CancellationToken,
    /// Someone asked for it again: nothing is waited for any more.
    pub(super) force: CancellationToken,
    /// The server is stopping.
    pub(super) stop: CancellationToken,
    /// What phases have left running in the background.
    pub(super) background: Background,
    /// Processes that could not be ended.
    pub(super) stuck: Mutex<Vec<Processes>>,
    /// Has the attempt's secrets masked, once they are known.
    pub(super) mask: OnceLock<MaskGuard>,
    /// Counts what the attempt uses, once its limits are known.
    pub(super) meter: OnceLock<Arc<Meter>>,
    /// What keeps its commands from everything else, once that is set up.
    pub(super) confined: OnceLock<Confined>,
}

impl Worker {
    /// Tries to win the change `pending` to `running`. `None` if someone else has won.
    pub async fn claim(
        shared: &Arc<Shared>,
        run: RunKey,
        attempt: u32,
        stop: CancellationToken,
    ) -> Result<Option<Self>, WriteError> {
        let owner = shared.options.owner.clone();
        let reason = format!("claimed by {owner}");
        let lease_until = later(Timestamp::wall(), shared.options.lease);
        let mut claim = RunWrite::new(ClaimRun { run, attempt, owner, lease_until });
        claim.frames.push(NewFrame::status(Transition::Claim, reason));
        match shared.journal.write(claim).await {
            Ok(won) => Ok(Some(Self::new(shared, attempt, &won, stop))),
            Err(WriteError::Refused) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tries to take up a run that waited for a person. `None` if someone else was first.
    pub async fn resume(
        shared: &Arc<Shared>,
        run: RunKey,
        attempt: u32,
        stop: CancellationToken,
    ) -> Result<Option<Self>, WriteError> {
        let lease_until = later(Timestamp::wall(), shared.options.lease);
        let resume = ResumeRun { run, attempt, owner: shared.options.owner.clone(), lease_until };
        match shared.journal.write(RunWrite::new(resume)).await {
            Ok(won) => Ok(Some(Self::new(shared, attempt, &won, stop))),
            Err(WriteError::Refused) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn new(shared: &Arc<Shared>, attempt: u32, won: &Committed, stop: CancellationToken) -> Self {
        let CancelSignal { asked: cancel, forced: force } = CancelSignal::default();
        let worker = Self {
            shared: Arc::clone(shared),
            lease: Lease { run: won.run, attempt, token: won.token },
            latest: won.clock,
            cancel,
            force,
            stop,
            background: Background::default(),
            stuck: Mutex::default(),
            mask: OnceLock::new(),
            meter: OnceLock::new(),
            confined: OnceLock::new(),
        };
        worker.hear_cancel(won);
        worker
    }

    /// The claim that this worker has won.
    pub fn lease(&self) -> Lease {
        self.lease
    }

    /// Counts what the attempt uses.
    pub(super) fn meter(&self) -> &Arc<Meter> {
        self.meter.get_or_init(|| Arc::new(Meter::new(Limits::default())))
    }

    /// The signal that ends the run because someone asked for it.
    pub(super) fn cancel_signal(&self) -> CancelSignal {
        CancelSignal { asked: self.cancel.clone(), forced: self.force.clone() }
    }

    /// Carries the attempt out.
    pub async fn work(self) {
        let clock = clock::of_attempt(self.latest);
        Timed::new(clock, self.work_to_the_end()).await;
    }

    async fn work_to_the_end(&self) {
        let done = tokio::select! {
            done = self.carry_out() => done,
            () = self.keep_lease() => Err(WriteError::Refused),
        };
        let done = match done {
            Err(WriteError::Store(StoreError::Full(_))) => self.end_without_room().await,
            done => done,
        };
        if let Err(error) = done {
            // The lease is gone or the database is: recovery will say what became of the run.
            tracing::warn!(run = self.lease.run.0, attempt = self.lease.attempt, %error, "the worker let go of its run");
        }
    }

    /// Extends the lease until it is lost. Hears, too, whether someone asked for the end through another instance.
    async fn keep_lease(&self) {
        let lease = self.shared.options.lease;
        let mut keeper = LeaseKeeper::new(lease, self.shared.store.is_exclusive());
        let claimed = Instant::now();
        loop {
            tokio::time::sleep(keeper.pause()).await;
            let asked = claimed.elapsed();
            let extend = ExtendLease { lease: self.lease, lease_until: later(Timestamp::wall(), lease) };
            let extend = self.shared.journal.write(RunWrite::new(extend));
            let answer = match keeper.answer_by() {
                Some(by) => tokio::time::timeout_at(claimed + by, extend).await.ok(),
                None => Some(extend.await),
            };
            let answer = match answer {
                Some(Ok(extended)) => {
                    self.hear_cancel(&extended);
                    Answer::Extended
                }
                Some(Err(WriteError::Store(error))) if error.is_retryable() => Answer::Unavailable,
                Some(Err(WriteError::Store(_))) | None => Answer::None,
                Some(Err(_)) => Answer::Refused,
            };
            if !keeper.hear(answer, asked, claimed.elapsed()) {
                return;
            }
        }
    }

    /// Ends the run if a write says that someone asked for it.
    pub(super) fn hear_cancel(&self, committed: &Committed) {
        if committed.cancel_by.is_some() {
            self.cancel.cancel();
        }
    }

    /// Ends an attempt whose activity the journal does not wait to write any longer, since the disk is full. Its command is ended by now.
    async fn end_without_room(&self) -> Result<(), WriteError> {
        let assignment = self.assignment().await?;
        let mut write = self.append();
        close_phases(&mut write, &assignment.run, Timestamp::now());
        let verdict = match &assignment.cancel_by {
            Some(by) => cancelled(by),
            None => failed(Failure {
                code: "disk_full".to_owned(),
                message: "the disk is full: there was no room for what the run reports. Make room and run it again"
                    .to_owned(),
                retryable: true,
            }),
        };
        let (run, workspaces) = (&assignment.run, &self.shared.options.workspaces);
        sweep_attempt(&workspaces.of(&run.id, run.attempt)).await;
        self.end_attempt(run).await;
        workspaces.discard(&run.id, run.attempt).await;
        self.shared.journal.write(verdict.finish(LeaseHolder::Worker(self.lease), write)).await.map(drop)
    }

    async fn carry_out(&self) -> Result<(), WriteError> {
        let assignment = self.assignment().await?;
        // Asked for since the claim, and before this worker could be told.
        if assignment.cancel_by.is_some() {
            let force = assignment.run.cancel.as_ref().is_some_and(|cancel| cancel.force);
            self.cancel_signal().cancel(force);
        }
        // If the lease is gone, recovery takes what is left.
        let Some(Finished { verdict, end, rest }) = self.phases(&assignment).await? else { return Ok(()) };
        self.end_background().await?;
        let verdict = self.name_stuck(verdict);
        let mut write = self.append();
        let skipped = rest.iter().map(|spec| PhaseChange::skipped(spec.name.clone()));
        if let Some(end) = end {
            end.tell(&mut write, BTreeMap::new());
        }
        skipped.for_each(|phase| write.add_phase(phase));
        let holder = LeaseHolder::Worker(self.lease);
        let write = match verdict.to {
            // As the phases stand by now: those that ended well may be carried over.
            FinalStatus::Interrupted => interrupt(holder, write, &self.assignment().await?, verdict.reason, Cut::Stop),
            _ => verdict.finish(holder, write),
        };
        // Before the run is finished, so that whoever sees that finds nothing of it left.
        self.end_attempt(&assignment.run).await;
        self.shared.options.workspaces.discard(&assignment.run.id, assignment.run.attempt).await;
        self.shared.journal.write(write).await.map(drop)
    }

    /// Ends what the attempt's commands have left, wherever it is.
    pub(super) async fn end_attempt(&self, run: &Run) {
        self.shared.options.commands.end_attempt(&name_of(&run.id, run.attempt)).await;
    }

    /// What is to be done, and how it stands. Asked for until the database answers, or the lease is lost.
    async fn assignment(&self) -> Result<Assignment, WriteError> {
        self.read(|| self.shared.store.assignment(self.lease.run)).await?.ok_or(WriteError::Refused)
    }

    /// Asks the database until it answers, or the lease is lost.
    pub(super) async fn read<T, F>(&self, ask: impl Fn() -> F) -> Result<T, WriteError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            match ask().await {
                Err(error) if error.is_retryable() => tokio::time::sleep(RETRY).await,
                answer => return Ok(answer?),
            }
        }
    }

    /// A write of frames under this worker's lease.
    pub(super) fn append(&self) -> RunWrite {
        RunWrite::new(AppendFrames { lease: self.lease })
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    Timestamp(now.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}
