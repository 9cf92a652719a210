//! Lets finished runs go: by the rules of their pipelines, and those that someone has deleted.
//!
//! A run that goes is marked first, in one small write under a guard; from then on nobody sees it, and a re-run or a pin at the same
//! moment either wins or comes too late. Then its frames go, a few at a time, each time as a write among those of runs, then its folders
//! ([`folders`]), then the last of it. The mark is the note of what is still to be done, so whatever ends the server in between, the next
//! one goes on. At last the database gives back what is empty, in steps as small.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod folders;

use std::path::PathBuf;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::engine::Workspaces;
use crate::journal::{Journal, WriteError};
use crate::model::{Retention, RunId, Timestamp};
use crate::pipelines::Catalog;
use crate::store::{DeleteRun, ExpiredRun, PurgeStep, RunKey, RunWrite, Store, StoreError};

/// It looks again after so long, even if nothing says that it should: the clock may have been set.
const LOOK: Duration = Duration::from_secs(60 * 60);

/// It looks again after so long if the database or a folder was in the way.
const AGAIN: Duration = Duration::from_secs(60);

/// How many runs are marked together.
const BATCH: u32 = 100;

/// After each step the writer is left to runs for so many times as long as the step took, …
const REST: u32 = 3;

/// … but for no longer than this.
const LONGEST_REST: Duration = Duration::from_millis(50);

/// For so long after pipeline files have changed, runs of pipelines that are not among them stay: a file that is being written or
/// moved is not there for a moment.
const SETTLED: Duration = Duration::from_secs(60);

/// What retention goes by.
#[derive(Clone, Debug)]
pub struct RetentionOptions {
    /// The rule for pipelines that have none of their own.
    pub usual: Retention,
    /// Where runs without a project have worked, each in a folder of its own.
    pub scratch: PathBuf,
    /// Where attempts may have left something.
    pub workspaces: Workspaces,
}

/// The task that lets runs go.
pub struct RetentionTask {
    store: Store,
    journal: Journal,
    catalog: Catalog,
    options: RetentionOptions,
    stop: CancellationToken,
    /// When the pipeline files changed last, since this began.
    changed: Option<Instant>,
}

/// Why it does not go on for now.
#[derive(Debug, thiserror::Error)]
enum Halt {
    #[error("the server stops")]
    Stop,
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Write(error.into())
    }
}

impl RetentionTask {
    /// A task that works until `stop` is cancelled.
    pub fn new(
        store: Store,
        journal: Journal,
        catalog: Catalog,
        options: RetentionOptions,
        stop: CancellationToken,
    ) -> Self {
        Self { store, journal, catalog, options, stop, changed: None }
    }

    /// Works whenever a run has ended, was unpinned or deleted, is old enough to go, or a rule has changed.
    pub async fn run(mut self) {
        let mut ends = self.journal.watch_ends();
        let mut files = self.catalog.subscribe();
        loop {
            // Before it looks: what comes meanwhile rings again.
            let _ = (ends.borrow_and_update(), files.borrow_and_update());
            let next = match self.look().await {
                Ok(next) => next,
                Err(Halt::Stop) => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot let runs go for now");
                    AGAIN
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                Ok(()) = ends.changed() => {}
                Ok(()) = files.changed() => self.changed = Some(Instant::now()),
                () = sleep(next) => {}
            }
        }
    }

    /// Lets everything go that may. Returns in how long to look again.
    async fn look(&self) -> Result<Duration, Halt> {
        // Those that an earlier server has begun with, and that someone has deleted.
        let mut clean = self.clear_all().await?;
        let mut next = LOOK;
        for kept in self.store.retention_candidates().await? {
            let rule = match self.rule(&kept.pipeline) {
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
            let mut went = false;
            loop {
                let outdated = self.store.expired_runs(&kept.pipeline, rule, now, BATCH).await?;
                // Those of which none could be marked have changed meanwhile, and are looked at again for that.
                if outdated.is_empty() || self.mark(&outdated).await? == 0 {
                    break;
                }
                went = true;
                clean &= self.clear_all().await?;
            }
            if let Some(age) = rule.age_ms {
                let oldest = if went { self.oldest(&kept.pipeline).await? } else { Some(kept.oldest) };
                next = match oldest.map(|oldest| age.saturating_sub(now.since(oldest))) {
                    None => next,
                    // It stays for now: a receiver is still to be told of it.
                    Some(0) => next.min(AGAIN),
                    Some(left) => next.min(Duration::from_millis(left)),
                };
            }
        }
        while self.step(PurgeStep::VacuumPages).await? {}
        Ok(if clean { next } else { next.min(AGAIN) })
    }

    async fn oldest(&self, pipeline: &str) -> Result<Option<Timestamp>, Halt> {
        let kept = self.store.retention_candidates().await?;
        Ok(kept.into_iter().find(|kept| kept.pipeline == pipeline).map(|kept| kept.oldest))
    }

    /// The rule for a pipeline's runs. Or how long it is not known whether there is such a pipeline: a mistake in a file must not cost the runs
    /// that its rule keeps.
    fn rule(&self, pipeline: &str) -> Result<Retention, Duration> {
        if let Some(pipeline) = self.catalog.get(pipeline) {
            return Ok(pipeline.retention.unwrap_or(self.options.usual));
        }
        if !self.catalog.faults().is_empty() {
            return Err(LOOK);
        }
        match self.changed.map(|changed| changed + SETTLED).filter(|settled| Instant::now() < *settled) {
            Some(settled) => Err(settled - Instant::now()),
            None => Ok(self.options.usual),
        }
    }

    /// Marks these runs as deleted, but for those that have changed meanwhile. Returns how many are.
    async fn mark(&self, outdated: &[ExpiredRun]) -> Result<usize, Halt> {
        let writes = outdated.iter().cloned().map(|ExpiredRun { run, id, status, attempt }| {
            self.journal.write(RunWrite::new(DeleteRun { run, id, status, attempt }))
        });
        let mut marked = 0;
        for (run, result) in outdated.iter().zip(join_all(writes).await) {
            match result {
                Ok(_) => {
                    tracing::info!(run = %run.id, "a run goes, by the rules of retention");
                    marked += 1;
                }
                Err(WriteError::Refused) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(marked)
    }

    /// Takes away what deleted runs have left. Returns whether nothing was in the way.
    async fn clear_all(&self) -> Result<bool, Halt> {
        let (mut clean, mut last) = (true, RunKey(0));
        loop {
            let deleted = self.store.tombstones(last, BATCH).await?;
            let Some((end, _)) = deleted.last() else { return Ok(clean) };
            last = *end;
            for (run, id) in &deleted {
                clean &= self.clear(*run, id).await?;
            }
        }
    }

    /// The same for one run.
    async fn clear(&self, run: RunKey, id: &RunId) -> Result<bool, Halt> {
        while self.step(PurgeStep::Frames(run)).await? {}
        if let Err(error) = folders::remove(&self.options, id).await {
            // Its row stays as the note of it.
            tracing::warn!(run = %id, %error, "cannot take a deleted run's folders away; it is tried again later");
            return Ok(false);
        }
        self.step(PurgeStep::Row(run)).await?;
        Ok(true)
    }

    /// One small step, and then a rest. Returns whether there may be more to do.
    async fn step(&self, step: PurgeStep) -> Result<bool, Halt> {
        if self.stop.is_cancelled() {
            return Err(Halt::Stop);
        }
        let began = Instant::now();
        let more = self.journal.purge(step).await?;
        if more {
            tokio::select! {
                () = self.stop.cancelled() => return Err(Halt::Stop),
                () = sleep((began.elapsed() * REST).min(LONGEST_REST)) => {}
            }
        }
        Ok(more)
    }
}
