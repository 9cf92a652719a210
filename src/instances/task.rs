//! The background task of an instance: heartbeats with what it offers, the folders of the others, and the log of what
//! runs wait for.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::FORGET_AFTER_MS;
use super::folders::OfferedFolders;
use super::shortage_log::{ShortageLog, ShortageNews};
use crate::journal::WriteError;
use crate::model::Timestamp;
use crate::model::placement::Need;
use crate::model::workers::InstanceRole;
use crate::runs::{Backend, instances, is_this, shortages, unavailable_since};
use crate::store::{BeatInstance, EndInstance, ForgetInstances, StoreError};

/// The longest time between two heartbeats where other instances read them.
const SHARED_INTERVAL: Duration = Duration::from_secs(5);

/// The time between two heartbeats of an instance that has its database to itself: nobody else reads them.
const ONLY_INTERVAL: Duration = Duration::from_secs(60);

/// How often an instance looks for folders that pending runs need.
const FOLDER_INTERVAL: Duration = Duration::from_secs(1);

/// How often instances that are long gone are forgotten.
const FORGET_INTERVAL: Duration = Duration::from_secs(60);

/// How long the last write may take. An instance that could not write it is lost later.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// Keeps this instance known to the others. Runs until it is dropped.
pub struct InstanceTask {
    /// Its journal gives up writes that the database does not accept in time.
    backend: Backend,
    /// The time between two heartbeats.
    interval: Duration,
    /// How long it counts as alive after a heartbeat.
    lifetime: Duration,
    folders: OfferedFolders,
    log: ShortageLog,
    /// When the offers were last written. `None` if they are to be written again.
    offered: Option<Instant>,
    forgot: Option<Instant>,
}

impl InstanceTask {
    pub fn new(backend: Backend) -> Self {
        let lease = backend.engine.options().lease;
        let interval = if backend.store.is_exclusive() { ONLY_INTERVAL } else { SHARED_INTERVAL.min(lease / 3) };
        let (folders, log) = (OfferedFolders::default(), ShortageLog::default());
        Self { backend, interval, lifetime: lease.max(interval * 3), folders, log, offered: None, forgot: None }
    }

    /// The first heartbeat, with which runs can be placed here.
    pub async fn register(&mut self) {
        self.beat().await;
        self.backend.engine.wake();
    }

    /// Writes heartbeats, one as soon as the instance is drained.
    pub async fn run(mut self) {
        let mut next_beat = Instant::now() + self.interval;
        let mut knows_drain = false;
        self.forget().await;
        loop {
            let wait = if self.backend.store.is_exclusive() { SHARED_INTERVAL } else { FOLDER_INTERVAL };
            let wake_at = next_beat.min(Instant::now() + wait.min(self.backend.engine.options().lease / 3));
            tokio::select! {
                () = tokio::time::sleep_until(wake_at) => {}
                () = self.backend.engine.draining(), if !knows_drain => {
                    knows_drain = true;
                    next_beat = Instant::now();
                }
            }
            if !self.backend.store.is_exclusive() && self.look_for_folders().await {
                self.offered = None;
                next_beat = Instant::now();
            }
            if Instant::now() >= next_beat {
                self.beat().await;
                self.backend.engine.wake();
                next_beat = Instant::now() + self.interval;
                self.forget().await;
                self.learn_remote_roots().await;
            }
            if self.backend.instance.role == InstanceRole::Serve {
                self.report_shortages().await;
            }
        }
    }

    /// The last write of this instance.
    pub async fn end(backend: &Backend) {
        let at = backend.store.now();
        let end = backend.journal.execute(EndInstance { id: backend.instance.id.clone(), at }, None);
        match tokio::time::timeout(END_TIMEOUT, end).await {
            Ok(Ok(()) | Err(WriteError::Refused)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the end of this instance is not recorded"),
            Err(_) => tracing::debug!("the end of this instance is not recorded in time"),
        }
    }

    async fn beat(&mut self) {
        // After a long outage, others may have forgotten this instance and its offers.
        let is_recent = self.offered.is_some_and(|at| at.elapsed() < Duration::from_millis(FORGET_AFTER_MS as u64 / 2));
        let offers = (!is_recent).then(|| self.offers());
        let is_complete = offers.is_some();
        match self.write_beat(offers).await {
            Ok(()) if is_complete => self.offered = Some(Instant::now()),
            Ok(()) => {}
            // The journal's writer logs an outage of the database.
            Err(error) => tracing::debug!(%error, "a heartbeat was not written"),
        }
    }

    async fn write_beat(&self, offers: Option<BTreeSet<Need>>) -> Result<(), WriteError> {
        let Backend { store, journal, engine, instance, .. } = &self.backend;
        let at = store.now();
        let lifetime_ms = i64::try_from(self.lifetime.as_millis()).unwrap_or(i64::MAX);
        let beat = BeatInstance {
            instance: (**instance).clone(),
            at,
            lost_at: Timestamp(at.0.saturating_add(lifetime_ms)),
            draining_at: engine.draining_since(),
            offers,
            is_only: store.is_exclusive(),
        };
        journal.execute(beat, None).await
    }

    fn offers(&self) -> BTreeSet<Need> {
        let instance = &self.backend.instance;
        let labels = instance.labels.iter().map(|label| Need::Label(label.as_str().to_owned()));
        let folders = self.folders.iter().cloned().map(Need::Folder);
        labels.chain(folders).collect()
    }

    /// Whether the folders have changed that this instance has of those that runs need.
    async fn look_for_folders(&mut self) -> bool {
        if self.backend.instance.slots == 0 {
            return false;
        }
        match self.backend.store.needed_folders().await {
            Ok(needed) => self.folders.update(&self.backend.projects, needed).await,
            Err(error) => {
                log_read_error(&error);
                false
            }
        }
    }

    /// Forgets instances that are long gone.
    async fn forget(&mut self) {
        if self.forgot.is_some_and(|at| at.elapsed() < FORGET_INTERVAL) {
            return;
        }
        let now = self.backend.store.now();
        let before = Timestamp(now.0 - FORGET_AFTER_MS);
        match self.backend.journal.execute(ForgetInstances { before }, None).await {
            Ok(()) | Err(WriteError::Refused) => self.forgot = Some(Instant::now()),
            Err(error) => tracing::debug!(%error, "instances that are long gone are not forgotten yet"),
        }
    }

    /// Lets runs be asked for in the folders of the other workers.
    async fn learn_remote_roots(&self) {
        let backend = &self.backend;
        if backend.store.is_exclusive() {
            return;
        }
        let now = backend.store.now();
        let Ok(known) = instances(backend).await else { return };
        let others = known.into_iter().filter(|other| {
            !is_this(backend, other) && other.instance.slots > 0 && unavailable_since(backend, other, now).is_none()
        });
        backend.projects.set_remote_roots(others.flat_map(|other| other.instance.projects).collect());
    }

    /// Logs what pending runs wait for that no live worker has.
    async fn report_shortages(&mut self) {
        let shortages = match shortages(&self.backend).await {
            Ok(shortages) => shortages,
            Err(problem) => return tracing::debug!(%problem, "cannot look for what runs wait for"),
        };
        for news in self.log.update(shortages.values()) {
            match news {
                ShortageNews::Began { message, since, runs } => {
                    tracing::warn!(runs, "{message} since {since}: pending runs wait for one");
                }
                ShortageNews::Over { message } => {
                    tracing::info!("no run waits any more for what was missing: {message}")
                }
            }
        }
    }
}

fn log_read_error(error: &StoreError) {
    if error.is_retryable() {
        tracing::debug!(%error, "cannot look for the folders that runs need");
    } else {
        tracing::warn!(%error, "cannot look for the folders that runs need");
    }
}
