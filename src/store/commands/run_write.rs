//! A change of a run together with its frames: both are committed, or neither.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::enqueue_notifications::enqueue_notifications;
use super::{
    DiskPriority, FinishAttempt, NewAudit, PhaseUpdate, RunCommand, Updated, WriteOutcome, WriteStamp, is_approval,
};
use crate::model::kinds::{PhaseChange, StatusChange};
use crate::model::{FramePayload, FrameRecord, Run, Timestamp, Transition};
use crate::store::queries::runs;
use crate::store::row::Row;
use crate::store::transaction::Transaction;
use crate::store::{JournalHead, RowError, RunKey, StoreError};

/// A frame before it has its seq.
#[derive(Clone, Debug)]
pub struct NewFrame {
    pub ts: Timestamp,
    /// The phase it belongs to.
    pub phase: Option<Arc<str>>,
    /// See [`FramePayload::kind`].
    pub kind: Arc<str>,
    /// See [`FramePayload::data`].
    pub data: Arc<str>,
}

impl NewFrame {
    /// A frame of this moment.
    pub fn now(phase: Option<Arc<str>>, body: &FramePayload) -> Self {
        Self { ts: Timestamp::now(), phase, kind: body.kind().into(), data: body.data().into() }
    }

    /// The frame of a change of status, of this moment.
    pub fn status(moved: Transition, reason: String) -> Self {
        Self::now(None, &FramePayload::Status(StatusChange { from: moved.from(), to: moved.to(), reason }))
    }

    /// About how many bytes it takes.
    pub fn size(&self) -> usize {
        self.data.len() + 64
    }
}

/// A change of a run, together with its phases and frames.
#[derive(Clone, Debug)]
pub struct RunWrite {
    pub command: RunCommand,
    /// When it happens.
    pub at: Timestamp,
    pub phases: Vec<PhaseUpdate>,
    pub frames: Vec<NewFrame>,
    /// The line of the audit log that is written with it.
    pub audit: Option<Box<NewAudit>>,
}

/// A write that was accepted.
#[derive(Clone, Debug)]
pub struct Committed {
    pub run: RunKey,
    /// The run's journal with this write.
    pub journal: JournalHead,
    /// The number of the claim in force: see [`Lease::token`](super::Lease).
    pub token: i64,
    /// Who has requested the run's cancellation, if anyone has.
    pub cancel_by: Option<String>,
    /// How many notifications were added to the outbox.
    pub deliveries: usize,
    /// The frames with their seqs.
    pub frames: Vec<FrameRecord>,
    /// The latest time of the run: nothing of it is earlier from now on.
    pub clock: Timestamp,
    /// The run as of this commit, if [the caller wants it](super::RunChange::wants_run_after). A read after the
    /// commit could see a newer state, or a deleted run.
    pub run_after: Option<Box<Run>>,
}

/// The row that a guarded `UPDATE` yields.
struct UpdatedRow {
    journal: JournalHead,
    token: i64,
    cancel_by: Option<String>,
}

impl UpdatedRow {
    fn read(row: &dyn Row) -> Result<Self, RowError> {
        let (token, cancel_by) = (row.get("lease_token")?, row.get("cancel_by")?);
        Ok(Self { journal: JournalHead::read(row)?, token, cancel_by })
    }
}

impl RunWrite {
    /// A change of this moment without frames.
    pub fn new(command: impl Into<RunCommand>) -> Self {
        Self { command: command.into(), at: Timestamp::now(), phases: Vec::new(), frames: Vec::new(), audit: None }
    }

    /// The same phases and frames with another change.
    #[must_use]
    pub fn with_command(self, command: impl Into<RunCommand>) -> Self {
        Self { command: command.into(), ..self }
    }

    pub fn run(&self) -> RunKey {
        self.command.change().run()
    }

    /// The run's next attempt, if the write ends one and the run resumes automatically.
    pub fn next(&self) -> Option<&Self> {
        match &self.command {
            RunCommand::FinishAttempt(FinishAttempt { next, .. }) => next.as_deref(),
            _ => None,
        }
    }

    /// The same, to mask secrets in.
    pub fn next_mut(&mut self) -> Option<&mut Self> {
        match &mut self.command {
            RunCommand::FinishAttempt(FinishAttempt { next, .. }) => next.as_deref_mut(),
            _ => None,
        }
    }

    /// Whether it contains only output of commands.
    pub fn is_output(&self) -> bool {
        matches!(self.command, RunCommand::AppendFrames(_)) && self.phases.is_empty() && !self.frames.is_empty()
    }

    /// Its handling while the disk is full. Output waits, and what becomes of phases does not.
    pub fn disk_priority(&self) -> DiskPriority {
        match self.command {
            RunCommand::AppendFrames(_) if !self.is_output() => DiskPriority::Urgent,
            _ => self.command.change().disk_priority(),
        }
    }

    /// About how many bytes it takes.
    pub fn size(&self) -> usize {
        256 + self.frames.iter().map(NewFrame::size).sum::<usize>() + self.next().map_or(0, Self::size)
    }

    /// Adds the end of a phase, as its state and as a frame.
    pub fn add_phase(&mut self, change: PhaseChange) {
        self.add_ended_phase(change, BTreeMap::new());
    }

    /// The same of a phase with outputs for later phases, by name.
    pub fn add_ended_phase(&mut self, change: PhaseChange, outputs: BTreeMap<String, String>) {
        let name: Arc<str> = change.name.as_str().into();
        let (state, exit_code) = (change.state, change.exit_code);
        self.phases.push(PhaseUpdate { name: Arc::clone(&name), state, exit_code, outputs });
        self.frames.push(NewFrame::now(Some(name), &FramePayload::Phase(change)));
    }

    /// The frames as the journal has them, from this seq on and of this attempt.
    pub fn records(&self, first_seq: u64, attempt: u32) -> Vec<FrameRecord> {
        let record = |(seq, frame): (u64, &NewFrame)| FrameRecord {
            seq,
            ts: frame.ts,
            attempt,
            phase: frame.phase.clone(),
            kind: Arc::clone(&frame.kind),
            data: Arc::clone(&frame.data),
        };
        (first_seq..).zip(&self.frames).map(record).collect()
    }

    /// The write with times that are not earlier than the run's latest one, each not earlier than the one before; and
    /// the latest of them. The machine's clock may have been set back.
    pub fn not_before(&self, clock: Timestamp) -> (Cow<'_, Self>, Timestamp) {
        let mut steady = Cow::Borrowed(self);
        let mut latest = clock;
        if self.command.change().is_timed() || !self.phases.is_empty() {
            if self.at < latest {
                steady.to_mut().at = latest;
            }
            latest = steady.at;
        }
        for (index, frame) in self.frames.iter().enumerate() {
            if frame.ts < latest {
                steady.to_mut().frames[index].ts = latest;
            }
            latest = latest.max(frame.ts);
        }
        (steady, latest)
    }

    /// Executes it: the run and its phases, its next attempt, the outbox, the audit log.
    ///
    /// # Errors
    /// The database failed. A precondition that does not hold is [`WriteOutcome::Refused`], also if the run is unknown.
    pub(super) async fn apply(&self, tx: &mut impl Transaction) -> Result<WriteOutcome, StoreError> {
        let change = self.command.change();
        let run = self.run();
        // Read before the attempt ends, which removes the request and the answer.
        let next = match self.next() {
            Some(next) if may_go_on(run, tx).await? => Some(next),
            _ => None,
        };
        let Some(mut committed) = self.update_run(tx).await? else { return Ok(WriteOutcome::Refused) };
        let next = match next {
            Some(next) => next.update_run(tx).await?,
            None => None,
        };
        // A run that resumes needs its secrets, and has not ended for its receivers.
        if next.is_none() {
            if change.ends_attempt() {
                tx.erase_secrets(run).await?;
            }
            if let Some(occasion) = change.notifies() {
                committed.deliveries = enqueue_notifications(run, &committed.journal, occasion, self.at, tx).await?;
            }
        }
        if let Some(audit) = &self.audit {
            tx.execute(audit.insert()).await?;
        }
        if change.wants_run_after() {
            committed.run_after = tx.fetch_optional(runs::by_key(run)).await?.map(Box::new);
        }
        if let Some(next) = next {
            committed.frames.extend(next.frames);
            (committed.journal, committed.clock) = (next.journal, next.clock);
        }
        Ok(WriteOutcome::Committed(committed))
    }

    /// Updates the run under its precondition, with the further statements. `None` if the precondition does not hold.
    async fn update_run(&self, tx: &mut impl Transaction) -> Result<Option<Committed>, StoreError> {
        let run = self.run();
        let known = tx.fetch_optional(runs::clock(run)).await?;
        let (write, clock) = self.not_before(known.unwrap_or(Timestamp(0)));
        let change = write.command.change();
        let stamp = WriteStamp { frames: write.frames.len(), at: write.at, clock };
        let row = tx.fetch_optional(change.update(&stamp).read(UpdatedRow::read)).await?;
        let Some(UpdatedRow { journal, token, cancel_by }) = row else { return Ok(None) };
        let first_seq = journal.head + 1 - write.frames.len() as u64;
        let updated = Updated { journal, first_seq, at: write.at };
        for statement in change.follow_ups(&updated) {
            tx.execute(statement).await?;
        }
        for phase in &write.phases {
            tx.execute(phase.statement(run, &updated, &write.frames)).await?;
        }
        let frames = write.records(first_seq, change.frame_attempt().unwrap_or(journal.attempt));
        Ok(Some(Committed { run, journal, token, cancel_by, deliveries: 0, frames, clock, run_after: None }))
    }
}

/// Whether the run was neither rejected nor is to be cancelled. Both count even if the run's server dies first.
async fn may_go_on(run: RunKey, tx: &mut impl Transaction) -> Result<bool, StoreError> {
    let decision = tx.fetch_optional(runs::decision(run)).await?;
    Ok(decision.is_some_and(|decision| decision.cancel_by.is_none() && is_approval(decision.answer.as_ref())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::{AppendFrames, CancelPending, Lease};

    fn write(at: i64, frames: &[i64], is_timed: bool) -> RunWrite {
        let run = RunKey(1);
        let command = if is_timed {
            CancelPending { run, attempt: 1 }.into()
        } else {
            RunCommand::from(AppendFrames::new(Lease { run, attempt: 1, token: 1 }))
        };
        let mut write = RunWrite { at: Timestamp(at), ..RunWrite::new(command) };
        let frame = |ts: &i64| NewFrame { ts: Timestamp(*ts), phase: None, kind: "log".into(), data: "{}".into() };
        write.frames.extend(frames.iter().map(frame));
        write
    }

    proptest! {
        /// However the machine's clock is set: no time is earlier than one before it, the latest is known for the next
        /// write, and no time is changed that need not be.
        #[test]
        fn run_times_never_decrease(
            writes in prop::collection::vec((0..50i64, prop::collection::vec(0..50i64, 0..5), any::<bool>()), 0..20),
        ) {
            let mut clock = Timestamp(10);
            for (at, frames, is_timed) in writes {
                let given = write(at, &frames, is_timed);
                let (steady, latest) = given.not_before(clock);
                let mut before = clock;
                let own = is_timed.then_some((given.at, steady.at));
                let frames = given.frames.iter().zip(&steady.frames).map(|(given, steady)| (given.ts, steady.ts));
                for (given, is) in own.into_iter().chain(frames) {
                    prop_assert_eq!(is, given.max(before));
                    before = is;
                }
                prop_assert_eq!(latest, before);
                clock = latest;
            }
        }
    }
}
