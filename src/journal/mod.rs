//! The journal: the only source that anything is streamed or polled from.
//!
//! [`Writer`](writer) commits what comes in groups; only then does the [`Tail`] of each run hear of it. A [`Reader`] is
//! a cursor that asks for what comes after it, from the tail's memory if that covers it, else from the store, and waits
//! for the doorbell only when nothing is left. The doorbell carries no frames. So there is no second source, no buffer
//! to drain, and no window between replay and live.
//!
//! The list of runs has a live end of its own, [`changes`], which tells which runs are to be looked at again.
//!
//! Knows the store and no HTTP.

mod broadcast;
mod health;
#[cfg(test)]
mod interleavings;
mod live_runs;
mod masks;
mod reader;
mod ring;
mod room;
mod run_list_feed;
mod sync;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use crate::model::trigger::SkipKind;
use crate::secrets::Patterns;
use crate::store::{
    AccessOp, Clearing, Committed, Created, Mark, NewAudit, NewRun, Op, Outcome, Pulse, RunKey, Store, StoreError,
    TriggerOp, Write,
};

pub use broadcast::{BroadcastGroup, BroadcastOptions, Member, SendOutcome, Sink};
pub use health::Health;
use live_runs::LiveRuns;
pub use live_runs::ReadOptions;
pub use masks::MaskGuard;
use masks::Masks;
pub use reader::{ReadStep, Reader};
pub use ring::FrameEncoding;
use run_list_feed::RunListFeed;
pub use run_list_feed::{ListReader, ListStep};
use sync::watch;
pub use writer::{GroupCommit, WriterTask};

/// The journal of all runs. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    store: Arc<dyn Store>,
    live_runs: Arc<LiveRuns>,
    list_feed: Arc<RunListFeed>,
    /// How many notifications were put down to be delivered: a doorbell, as the others are.
    outbox: Arc<watch::Sender<u64>>,
    /// The secrets of runs that are carried out here.
    masks: Masks,
    writer: writer::Handle,
}

/// Why a write did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// The run is not, or no longer, as the writer believed. For a worker: its lease is gone.
    #[error("the run has changed in the meantime")]
    Refused,
    /// The due time has no run, for this reason; its schedule's mark has moved all the same.
    #[error("the due time was skipped: {}", .0.reason(""))]
    Skipped(SkipKind),
    /// As many runs wait for a worker as may.
    #[error("too many runs wait for a worker")]
    QueueFull,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyConflict,
    /// The idempotency key was used for this request, and its run was deleted since.
    #[error("the run that was started with this idempotency key was deleted")]
    KeyOfDeleted,
    /// The database did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal is closed: the server is stopping.
    #[error("the journal is closed")]
    Closed,
}

impl Journal {
    /// A journal on this store, and the task that writes it. The task ends when the last clone of the journal is gone.
    pub fn new(store: Arc<dyn Store>, group: GroupCommit) -> (Self, WriterTask) {
        Self::with_read_options(store, group, ReadOptions::default())
    }

    /// The same with other sizes for its readers.
    pub fn with_read_options(store: Arc<dyn Store>, group: GroupCommit, read: ReadOptions) -> (Self, WriterTask) {
        let live_runs = Arc::new(LiveRuns::new(read));
        let list_feed = Arc::new(RunListFeed::default());
        let outbox = Arc::new(watch::Sender::new(0));
        let (writer, task) =
            writer::new(Arc::clone(&store), Arc::clone(&live_runs), Arc::clone(&list_feed), Arc::clone(&outbox), group);
        (Self { store, live_runs, list_feed, outbox, masks: Masks::default(), writer }, task)
    }

    /// The same journal for who wants an answer within about this time: a write that the database has not taken by then
    /// is refused as retryable, and never happens. All others wait for as long as it takes.
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self { writer: self.writer.with_patience(patience), ..self.clone() }
    }

    /// Whether the database takes what is written.
    pub fn health(&self) -> &Health {
        &self.writer.health
    }

    /// Writes nothing, to find out whether the database takes anything.
    ///
    /// # Errors
    /// [`WriteError::Store`], [`WriteError::Closed`].
    pub async fn probe(&self) -> Result<(), WriteError> {
        self.writer.carry_out(Op::Probe).await.map(drop)
    }

    /// Creates a pending run, or finds the one that its idempotency key names.
    ///
    /// # Errors
    /// [`WriteError::KeyConflict`], [`WriteError::KeyOfDeleted`], [`WriteError::Refused`] if its schedule's mark cannot
    /// move or its
    /// group is busy, [`WriteError::QueueFull`], [`WriteError::Skipped`] if its schedule's mark moved all the same,
    /// [`WriteError::Store`], [`WriteError::Closed`].
    pub async fn create(&self, run: NewRun) -> Result<Created, WriteError> {
        match self.writer.carry_out(Op::Create(run)).await? {
            Outcome::Created(created) => Ok(created),
            Outcome::KeyConflict => Err(WriteError::KeyConflict),
            Outcome::KeyOfDeleted => Err(WriteError::KeyOfDeleted),
            Outcome::Skipped(kind) => Err(WriteError::Skipped(kind)),
            Outcome::QueueFull => Err(WriteError::QueueFull),
            Outcome::Committed(_)
            | Outcome::Cleared { .. }
            | Outcome::Marked
            | Outcome::Nothing
            | Outcome::Triggered
            | Outcome::Refused => Err(WriteError::Refused),
        }
    }

    /// Masks these secrets in everything that is written of the run, until what this returns is dropped.
    pub fn mask(&self, run: RunKey, secrets: Arc<Patterns>) -> MaskGuard {
        self.masks.add(run, secrets)
    }

    /// What is masked in everything that is written of the run.
    pub fn masked(&self, run: RunKey) -> Option<Arc<Patterns>> {
        self.masks.of(run)
    }

    /// Carries out a write, secrets masked. When this returns, it is durable and readers hear of it.
    ///
    /// # Errors
    /// [`WriteError::Refused`] if its guard does not hold, [`WriteError::Store`], [`WriteError::Closed`].
    pub async fn write(&self, write: Write) -> Result<Committed, WriteError> {
        match self.writer.carry_out(Op::Write(self.masks.apply(write))).await? {
            Outcome::Committed(committed) => Ok(committed),
            _ => Err(WriteError::Refused),
        }
    }

    /// Takes a little of what deleted runs have left away. Returns whether there may be more of it.
    ///
    /// # Errors
    /// [`WriteError::Refused`] if the run is not deleted or has gone, [`WriteError::Store`], [`WriteError::Closed`].
    pub async fn clear(&self, clearing: Clearing) -> Result<bool, WriteError> {
        match self.writer.carry_out(Op::Clear(clearing)).await? {
            Outcome::Cleared { more } => Ok(more),
            _ => Err(WriteError::Refused),
        }
    }

    /// Moves a schedule's mark.
    ///
    /// # Errors
    /// [`WriteError::Refused`] if it is not where it was believed to be, [`WriteError::Store`], [`WriteError::Closed`].
    pub async fn mark(&self, mark: Mark) -> Result<(), WriteError> {
        match self.writer.carry_out(Op::Mark(mark)).await? {
            Outcome::Marked => Ok(()),
            _ => Err(WriteError::Refused),
        }
    }

    /// Writes down a skipped due time, a pause, its end, or the delivery of a hook.
    ///
    /// # Errors
    /// [`WriteError::Refused`] if a mark is not where it was believed to be, [`WriteError::Store`],
    /// [`WriteError::Closed`].
    pub async fn trigger(&self, op: TriggerOp) -> Result<(), WriteError> {
        self.trigger_by(op, None).await
    }

    /// The same for what somebody asks for, with its line of the audit log.
    ///
    /// # Errors
    /// As [`Self::trigger`].
    pub async fn trigger_by(&self, op: TriggerOp, note: Option<NewAudit>) -> Result<(), WriteError> {
        match self.writer.carry_out(Op::Trigger(op, note)).await? {
            Outcome::Triggered | Outcome::Skipped(_) => Ok(()),
            _ => Err(WriteError::Refused),
        }
    }

    /// Writes who may use the server, and the line of the audit log that says so.
    ///
    /// # Errors
    /// [`WriteError::Refused`] as [`AccessOp`] says, [`WriteError::Store`], [`WriteError::Closed`].
    pub async fn access(&self, op: AccessOp, note: Option<NewAudit>) -> Result<(), WriteError> {
        match self.writer.carry_out(Op::Access(op, note)).await? {
            Outcome::Triggered => Ok(()),
            _ => Err(WriteError::Refused),
        }
    }

    /// How many transactions and how many frames this instance has written.
    pub fn written(&self) -> (u64, u64) {
        self.writer.written()
    }

    /// A reader of a run's journal that has everything up to `cursor`. `pulse` is where the journal stood a moment ago.
    ///
    /// # Errors
    /// [`StoreError`], also if the run is gone.
    pub async fn read(
        &self,
        run: RunKey,
        cursor: u64,
        pulse: Pulse,
        form: FrameEncoding,
    ) -> Result<Reader, StoreError> {
        let live_run = self.live_runs.subscribe(run, pulse);
        // Only now, when every later commit is heard of: see LiveRuns::subscribe.
        live_run.publish_head(self.store.pulse(run).await?);
        Ok(Reader::new(Arc::clone(&self.store), live_run, run, cursor, form))
    }

    /// A bell that rings after runs have ended, were unpinned, or were deleted: others may go now.
    pub fn watch_ends(&self) -> watch::Receiver<u64> {
        self.list_feed.watch_ends()
    }

    /// Rings when notifications wait to be delivered.
    pub fn outbox(&self) -> watch::Receiver<u64> {
        self.outbox.subscribe()
    }

    /// How much is kept in memory for readers: what, and how many.
    pub fn kept(&self) -> [(&'static str, usize); 3] {
        let (runs, reads) = self.list_feed.count();
        [("live_runs", self.live_runs.count()), ("changes", runs), ("reads", reads)]
    }

    /// A reader of the changes of the list, from now on.
    pub fn watch_list(&self) -> ListReader {
        ListReader::new(Arc::clone(&self.store), Arc::clone(&self.list_feed))
    }
}
