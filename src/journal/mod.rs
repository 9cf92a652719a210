//! The journal: the only source that anything is streamed or polled from.
//!
//! [`Writer`](writer) commits commands in groups; only then does it publish them to the [live run](live_runs). A
//! [`Reader`] is a cursor that asks for the frames after it, from the live run's memory if that covers them, else from
//! the database, and waits for a notification only when nothing is left. Notifications carry no frames. So there is no
//! second source, no buffer to drain, and no window between replay and live.
//!
//! What other instances on the same database commit is published by the [`relay`](Relay).
//!
//! The list of runs has a live end of its own, [`run_list_feed`], which says which runs are to be read again.
//!
//! Knows the store and no HTTP.

mod backend;
mod broadcast;
mod disk_shares;
mod health;
#[cfg(test)]
mod interleavings;
mod live_runs;
mod masks;
mod reader;
mod relay;
mod ring;
mod run_list_feed;
mod sync;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use crate::model::trigger::SkipKind;
use crate::secrets::Patterns;
use crate::store::{
    Committed, CreateRun, Created, GuardedCommand, JournalHead, NewAudit, PurgeStep, RecordHookDelivery, RunKey,
    RunWrite, StoreCommand, StoreError, WriteOutcome,
};

pub use backend::JournalBackend;
pub use broadcast::{BroadcastGroup, BroadcastOptions, Member, SendOutcome, Sink};
pub use health::Health;
use live_runs::LiveRuns;
pub use live_runs::ReadOptions;
pub use masks::MaskGuard;
use masks::Masks;
pub use reader::{ReadStep, Reader};
pub use relay::Relay;
pub use ring::FrameEncoding;
use run_list_feed::RunListFeed;
pub use run_list_feed::{ListReader, ListStep};
use sync::watch;
pub use writer::{GroupCommit, WriterTask};

/// The journal of all runs. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    backend: Arc<dyn JournalBackend>,
    live_runs: Arc<LiveRuns>,
    list_feed: Arc<RunListFeed>,
    /// How many notifications were added to the outbox. Carries no data, as all notifications here.
    outbox: Arc<watch::Sender<u64>>,
    /// The secrets of runs that this server executes.
    masks: Masks,
    writer: writer::Handle,
}

/// Why a write did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// The precondition did not hold: the run has changed since it was read. For a worker: its lease expired.
    #[error("the run has changed in the meantime")]
    Refused,
    /// The due time has no run, for this reason; its schedule's cursor has moved all the same.
    #[error("the due time was skipped: {}", .0.reason(""))]
    Skipped(SkipKind),
    /// As many runs as may wait for a worker do.
    #[error("too many runs wait for a worker")]
    QueueFull,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyConflict,
    /// The idempotency key was used for this request, and its run was deleted since.
    #[error("the run that was started with this idempotency key was deleted")]
    KeyOfDeleted,
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal is closed: the server is stopping.
    #[error("the journal is closed")]
    Closed,
}

impl Journal {
    /// A journal on this database, and the task that writes it. The task ends when the last clone of the journal is
    /// dropped.
    pub fn new(backend: Arc<dyn JournalBackend>, group: GroupCommit) -> (Self, WriterTask) {
        Self::with_read_options(backend, group, ReadOptions::default())
    }

    /// The same with other sizes for its readers.
    pub fn with_read_options(
        backend: Arc<dyn JournalBackend>,
        group: GroupCommit,
        read: ReadOptions,
    ) -> (Self, WriterTask) {
        let live_runs = Arc::new(LiveRuns::new(read));
        let list_feed = Arc::new(RunListFeed::default());
        let outbox = Arc::new(watch::Sender::new(0));
        let (writer, task) = writer::new(
            Arc::clone(&backend),
            Arc::clone(&live_runs),
            Arc::clone(&list_feed),
            Arc::clone(&outbox),
            group,
        );
        (Self { backend, live_runs, list_feed, outbox, masks: Masks::default(), writer }, task)
    }

    /// The same journal for callers that want an answer within about this time: a write that the database has not
    /// accepted by then fails as retryable, and never happens. All others wait for as long as it takes.
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self { writer: self.writer.with_patience(patience), ..self.clone() }
    }

    /// Whether the database accepts writes.
    pub fn health(&self) -> &Health {
        &self.writer.health
    }

    /// Writes nothing, to find out whether the database accepts writes.
    ///
    /// # Errors
    /// [`WriteError::Store`], [`WriteError::Closed`].
    pub async fn probe(&self) -> Result<(), WriteError> {
        self.writer.submit(StoreCommand::Probe).await.map(drop)
    }

    /// Creates a pending run, or finds the one that its idempotency key or its schedule names.
    ///
    /// # Errors
    /// [`WriteError::Refused`] as [`CreateRun`] says; [`WriteError::KeyConflict`], [`WriteError::KeyOfDeleted`],
    /// [`WriteError::QueueFull`], [`WriteError::Skipped`], [`WriteError::Store`], [`WriteError::Closed`].
    pub async fn create(&self, run: CreateRun) -> Result<Created, WriteError> {
        match self.writer.submit(StoreCommand::CreateRun(run)).await? {
            WriteOutcome::Created(created) => Ok(created),
            WriteOutcome::KeyConflict => Err(WriteError::KeyConflict),
            WriteOutcome::KeyOfDeleted => Err(WriteError::KeyOfDeleted),
            WriteOutcome::Skipped(kind) => Err(WriteError::Skipped(kind)),
            WriteOutcome::QueueFull => Err(WriteError::QueueFull),
            WriteOutcome::Committed(_) | WriteOutcome::Purged { .. } | WriteOutcome::Done | WriteOutcome::Refused => {
                Err(WriteError::Refused)
            }
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

    /// Changes a run, with secrets masked. When this returns, the write is durable and published to readers.
    ///
    /// # Errors
    /// [`WriteError::Refused`] as the command says, also if the run is unknown or deleted; [`WriteError::Store`],
    /// [`WriteError::Closed`].
    pub async fn write(&self, write: RunWrite) -> Result<Committed, WriteError> {
        match self.writer.submit(StoreCommand::Run(self.masks.apply(write))).await? {
            WriteOutcome::Committed(committed) => Ok(committed),
            _ => Err(WriteError::Refused),
        }
    }

    /// Removes a little of what deleted runs have left. Returns whether there may be more of it.
    ///
    /// # Errors
    /// [`WriteError::Refused`] if the run is not deleted or its row is gone; [`WriteError::Store`],
    /// [`WriteError::Closed`].
    pub async fn purge(&self, step: PurgeStep) -> Result<bool, WriteError> {
        match self.writer.submit(StoreCommand::Purge(step)).await? {
            WriteOutcome::Purged { more } => Ok(more),
            _ => Err(WriteError::Refused),
        }
    }

    /// Carries out a command that concerns no single run, and adds this line to the audit log if it is accepted.
    ///
    /// # Errors
    /// [`WriteError::Refused`] as the command says; [`WriteError::Store`], [`WriteError::Closed`].
    pub async fn execute(&self, command: impl Into<GuardedCommand>, audit: Option<NewAudit>) -> Result<(), WriteError> {
        match self.writer.submit(StoreCommand::Guarded(command.into(), audit)).await? {
            WriteOutcome::Done => Ok(()),
            _ => Err(WriteError::Refused),
        }
    }

    /// Records the call of a hook.
    ///
    /// # Errors
    /// [`WriteError::Store`], [`WriteError::Closed`].
    pub async fn record_hook_delivery(&self, delivery: RecordHookDelivery) -> Result<(), WriteError> {
        self.writer.submit(StoreCommand::RecordHookDelivery(delivery)).await.map(drop)
    }

    /// How many transactions and how many frames this server has written.
    pub fn written(&self) -> (u64, u64) {
        self.writer.written()
    }

    /// A reader of a run's journal that has everything up to `cursor`. `head` is the journal's head of a moment ago.
    ///
    /// # Errors
    /// [`StoreError::Gone`] if the run is unknown or deleted; the database's own.
    pub async fn read(
        &self,
        run: RunKey,
        cursor: u64,
        head: JournalHead,
        form: FrameEncoding,
    ) -> Result<Reader, StoreError> {
        let live_run = self.live_runs.subscribe(run, head);
        // Only now, when every later commit is published to it: see LiveRuns::subscribe.
        live_run.publish_head(self.backend.head(run).await?);
        Ok(Reader::new(Arc::clone(&self.backend), live_run, run, cursor, form))
    }

    /// Notifies after runs have become final, were unpinned or deleted: retention may delete others now.
    pub fn watch_ends(&self) -> watch::Receiver<u64> {
        self.list_feed.watch_ends()
    }

    /// Notifies when notifications wait in the outbox.
    pub fn outbox(&self) -> watch::Receiver<u64> {
        self.outbox.subscribe()
    }

    /// What is in memory for readers, and how many of it.
    // The label `tails` is that of earlier versions.
    pub fn memory_entries(&self) -> [(&'static str, usize); 3] {
        let (runs, reads) = self.list_feed.count();
        [("tails", self.live_runs.count()), ("changes", runs), ("reads", reads)]
    }

    /// A reader of the changes of the list of runs, from now on.
    pub fn watch_list(&self) -> ListReader {
        ListReader::new(Arc::clone(&self.backend), Arc::clone(&self.list_feed))
    }
}
