//! The background task of retention: deletes expired runs and purges deleted ones, in small writes between those of
//! runs.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::folders;
use crate::journal::{Journal, WriteError};
use crate::model::{Retention, RunId, Timestamp};
use crate::pipelines::Catalog;
use crate::store::{DeleteRun, ExpiredRun, PurgeStep, RunKey, RunWrite, Store, StoreError};
use crate::workspaces::Workspaces;

/// The longest time between two checks: a timer does not notice that the clock was set.
const CHECK_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// The pause before the next check after an error of the database or a folder.
const RETRY_DELAY: Duration = Duration::from_secs(60);

/// How many runs are read and deleted at a time.
const BATCH_RUNS: u32 = 100;

/// The task pauses for this many times the duration of its last step, so that it uses at most a quarter of the writer.
const PAUSE_FACTOR: u32 = 3;

/// The longest pause between two steps.
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// For this long after a change of the pipeline files, runs of unknown pipelines are kept: a file that is being written
/// or moved is missing for a moment.
const SETTLE_TIME: Duration = Duration::from_secs(60);

/// How retention works.
#[derive(Clone, Debug)]
pub struct RetentionOptions {
    /// The rule for pipelines without one of their own.
    pub default_rule: Retention,
    /// Contains one folder for each run without a project.
    pub scratch: PathBuf,
    pub workspaces: Workspaces,
}

pub struct RetentionTask {
    store: Store,
    journal: Journal,
    catalog: Catalog,
    options: RetentionOptions,
    stop: CancellationToken,
    /// When the pipeline files last changed, if they have since the start.
    files_changed_at: Option<Instant>,
}

/// Why a check ended early.
#[derive(Debug, thiserror::Error)]
enum RetentionError {
    #[error("the server is stopping")]
    Stopping,
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<StoreError> for RetentionError {
    fn from(error: StoreError) -> Self {
        Self::Write(error.into())
    }
}

impl RetentionTask {
    /// A task that runs until `stop` is cancelled.
    pub fn new(
        store: Store,
        journal: Journal,
        catalog: Catalog,
        options: RetentionOptions,
        stop: CancellationToken,
    ) -> Self {
        Self { store, journal, catalog, options, stop, files_changed_at: None }
    }

    /// Checks whenever a run ends, is unpinned, is deleted or expires, or a rule changes.
    pub async fn run(mut self) {
        let mut ends = self.journal.watch_ends();
        let mut files = self.catalog.subscribe();
        loop {
            // Before the check: a change during it causes another one.
            let _ = (ends.borrow_and_update(), files.borrow_and_update());
            let next = match self.check().await {
                Ok(next) => next,
                Err(RetentionError::Stopping) => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot delete expired runs; trying again in a minute");
                    RETRY_DELAY
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                Ok(()) = ends.changed() => {}
                Ok(()) = files.changed() => self.files_changed_at = Some(Instant::now()),
                () = sleep(next) => {}
            }
        }
    }

    /// Deletes and purges everything that may be. Returns the time until the next check.
    async fn check(&self) -> Result<Duration, RetentionError> {
        // Runs that people deleted, and those that an earlier server did not finish.
        let mut is_clean = self.purge_all().await?;
        let mut next = CHECK_INTERVAL;
        for candidate in self.store.retention_candidates().await? {
            let rule = match self.rule(&candidate.pipeline) {
                Ok(rule) => rule,
                Err(wait) => {
                    next = next.min(wait);
                    continue;
                }
            };
            if rule.is_forever() {
                continue;
            }
            let now = Timestamp::now();
            let mut has_deleted = false;
            loop {
                let expired = self.store.expired_runs(&candidate.pipeline, rule, now, BATCH_RUNS).await?;
                // If all of them have changed since, that change causes another check.
                if expired.is_empty() || self.delete_all(&expired).await? == 0 {
                    break;
                }
                has_deleted = true;
                is_clean &= self.purge_all().await?;
            }
            if let Some(age) = rule.age_ms {
                let oldest =
                    if has_deleted { self.oldest_end(&candidate.pipeline).await? } else { Some(candidate.oldest) };
                next = match oldest.map(|oldest| age.saturating_sub(now.since(oldest))) {
                    None => next,
                    // It is kept while one of its notifications is not delivered.
                    Some(0) => next.min(RETRY_DELAY),
                    Some(left) => next.min(Duration::from_millis(left)),
                };
            }
        }
        while self.step(PurgeStep::VacuumPages).await? {}
        Ok(if is_clean { next } else { next.min(RETRY_DELAY) })
    }

    /// When the first of a pipeline's finished runs ended.
    async fn oldest_end(&self, pipeline: &str) -> Result<Option<Timestamp>, RetentionError> {
        let candidates = self.store.retention_candidates().await?;
        Ok(candidates.into_iter().find(|candidate| candidate.pipeline == pipeline).map(|candidate| candidate.oldest))
    }

    /// The rule for a pipeline's runs. Or, while the pipeline may only be missing because of a mistake in a file, the
    /// time until the next check: such a mistake must not delete the runs that its rule keeps.
    fn rule(&self, pipeline: &str) -> Result<Retention, Duration> {
        if let Some(pipeline) = self.catalog.get(pipeline) {
            return Ok(pipeline.retention.unwrap_or(self.options.default_rule));
        }
        if !self.catalog.faults().is_empty() {
            return Err(CHECK_INTERVAL);
        }
        match self.files_changed_at.map(|changed| changed + SETTLE_TIME).filter(|settled| Instant::now() < *settled) {
            Some(settled) => Err(settled - Instant::now()),
            None => Ok(self.options.default_rule),
        }
    }

    /// Deletes these runs, except those that have changed since they were read. Returns how many it deleted.
    async fn delete_all(&self, expired: &[ExpiredRun]) -> Result<usize, RetentionError> {
        let writes = expired.iter().cloned().map(|ExpiredRun { run, id, status, attempt }| {
            self.journal.write(RunWrite::new(DeleteRun { run, id, status, attempt }))
        });
        let mut deleted = 0;
        for (run, result) in expired.iter().zip(join_all(writes).await) {
            match result {
                Ok(_) => {
                    tracing::info!(run = %run.id, "deleted an expired run");
                    deleted += 1;
                }
                Err(WriteError::Refused) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(deleted)
    }

    /// Purges all deleted runs. Returns whether nothing is left of them.
    async fn purge_all(&self) -> Result<bool, RetentionError> {
        let (mut is_clean, mut last) = (true, RunKey(0));
        loop {
            let tombstones = self.store.tombstones(last, BATCH_RUNS).await?;
            let Some((end, _)) = tombstones.last() else { return Ok(is_clean) };
            last = *end;
            for (run, id) in &tombstones {
                is_clean &= self.purge(*run, id).await?;
            }
        }
    }

    async fn purge(&self, run: RunKey, id: &RunId) -> Result<bool, RetentionError> {
        while self.step(PurgeStep::Frames(run)).await? {}
        if let Err(error) = folders::remove(&self.options.workspaces, &self.options.scratch, id).await {
            // The tombstone stays, so the purge is continued later.
            tracing::warn!(run = %id, %error, "cannot remove the folders of a deleted run; trying again in a minute");
            return Ok(false);
        }
        self.step(PurgeStep::Row(run)).await?;
        Ok(true)
    }

    /// One small write, and then a pause. Returns whether there may be more to do.
    async fn step(&self, step: PurgeStep) -> Result<bool, RetentionError> {
        if self.stop.is_cancelled() {
            return Err(RetentionError::Stopping);
        }
        let started = Instant::now();
        let more = self.journal.purge(step).await?;
        if more {
            tokio::select! {
                () = self.stop.cancelled() => return Err(RetentionError::Stopping),
                () = sleep((started.elapsed() * PAUSE_FACTOR).min(MAX_PAUSE)) => {}
            }
        }
        Ok(more)
    }
}
