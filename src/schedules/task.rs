//! The background task of schedules: creates a pending run for each due time, once.
//!
//! The database stores for each schedule the time up to which its due times are handled, its cursor. The write that
//! creates a run for a due time also advances the cursor from where it was read (`store::AdvanceSchedule`). So of
//! several servers, or after a crash, one creates the run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Due, MissingSchedules, Rule, ScheduleCheck, due};
use crate::access::trigger_audit_entry;
use crate::journal::WriteError;
use crate::model::kinds::Origin;
use crate::model::schedule::handles;
use crate::model::trigger::SkipKind;
use crate::model::{FramePayload, OriginKind, Pipeline, RunId, RunOrigin, Schedule, Secrets, Timestamp};
use crate::pipelines::{Snapshot, check_params};
use crate::runs::Backend;
use crate::store::{AdvanceSchedule, CreateRun, NewFrame, RunTrigger, ScheduleSlot, SkipDueTime};

/// The longest time between two checks. A due time is a time of a clock that can be set, on a machine that can sleep: a
/// timer notices neither.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// The pause before the next check after a database error or a write of another server.
const RETRY_DELAY: Duration = Duration::from_secs(1);

pub struct ScheduleTask {
    backend: Backend,
    stop: CancellationToken,
    /// Cursors whose schedules are in no file.
    missing: MissingSchedules,
    /// When the task began. Moved back when the clock is set back, so it is never in the future.
    since: Timestamp,
}

impl ScheduleTask {
    /// A task that runs until `stop` is cancelled.
    pub fn new(backend: Backend, stop: CancellationToken) -> Self {
        Self { backend, stop, missing: MissingSchedules::default(), since: Timestamp::now() }
    }

    /// Checks all schedules whenever one is due or the pipelines change.
    pub async fn run(mut self) {
        let mut changes = self.backend.catalog.subscribe();
        while !self.stop.is_cancelled() {
            let snapshot = changes.borrow_and_update().clone();
            let wait = match self.check(&snapshot).await {
                Ok(Some(next)) => Duration::from_millis(next.since(Timestamp::now())).min(CHECK_INTERVAL),
                Ok(None) => CHECK_INTERVAL,
                Err(WriteError::Closed) => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot check the schedules; trying again in a second");
                    RETRY_DELAY
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                // Never closed: the sender is part of the catalog.
                _ = changes.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Creates the runs that are due. Returns the next due time.
    async fn check(&mut self, snapshot: &Snapshot) -> Result<Option<Timestamp>, WriteError> {
        let mut cursors = self.backend.store.schedule_cursors().await?;
        let mut next: Option<Timestamp> = None;
        for pipeline in snapshot.pipelines.values() {
            for (schedule, name) in pipeline.schedules.iter().zip(handles(&pipeline.schedules)) {
                let done = cursors.remove(&(pipeline.name.clone(), schedule.identity()));
                let at = match self.check_schedule(pipeline, schedule, &name, done).await {
                    // Another server has advanced the cursor.
                    Err(WriteError::Refused) => Some(after(Timestamp::now(), RETRY_DELAY)),
                    other => other?,
                };
                next = [next, at].into_iter().flatten().min();
            }
        }
        // The cursors that are left belong to schedules that were removed.
        let (gone, again) = self.missing.expired(cursors, snapshot.faults.is_empty(), Instant::now());
        for ((pipeline, schedule), done) in gone {
            tracing::info!(pipeline, schedule, "deleting the cursor of a removed schedule");
            match self
                .backend
                .journal
                .execute(AdvanceSchedule { pipeline, schedule, from: Some(done), to: None }, None)
                .await
            {
                Ok(()) | Err(WriteError::Refused) => {}
                Err(error) => return Err(error),
            }
        }
        Ok([next, again.map(|wait| after(Timestamp::now(), wait))].into_iter().flatten().min())
    }

    /// Creates the runs of one schedule that are due. Returns its next due time.
    async fn check_schedule(
        &mut self,
        pipeline: &Arc<Pipeline>,
        schedule: &Schedule,
        name: &str,
        done: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, WriteError> {
        // The file was checked; this fails only if the time zone has been removed from the system since.
        let rule = match Rule::read(&schedule.cron, &schedule.timezone) {
            Ok(rule) => rule,
            Err(error) => {
                tracing::error!(pipeline = pipeline.name, %error, "cannot read a schedule; it starts no runs");
                return Ok(None);
            }
        };
        let advance = |from: Option<Timestamp>, to: Timestamp| AdvanceSchedule {
            pipeline: pipeline.name.clone(),
            schedule: schedule.identity(),
            from,
            to: Some(to),
        };
        let Some(mut done) = done else {
            let now = Timestamp::now();
            self.backend.journal.execute(advance(None, now), None).await?;
            return Ok(rule.next(now));
        };
        loop {
            let now = Timestamp::now();
            self.since = self.since.min(now);
            match due(&rule, schedule.missed, ScheduleCheck { done, since: self.since, now }) {
                Due::Wait(next) => return Ok(next),
                Due::Rebase => {
                    tracing::warn!(pipeline = pipeline.name, %done, "the cursor of a schedule is far in the future; restarting it from now");
                    self.backend.journal.execute(advance(Some(done), now), None).await?;
                    done = now;
                }
                Due::Start(at) => {
                    self.start(pipeline, schedule, name, at, advance(Some(done), at)).await?;
                    done = at;
                }
            }
        }
    }

    /// Creates the run of a due time and advances the cursor. Only advances it while the schedule is paused, while an
    /// earlier run is in the way, or if the parameters of the schedule are no longer valid.
    async fn start(
        &self,
        pipeline: &Arc<Pipeline>,
        schedule: &Schedule,
        name: &str,
        due: Timestamp,
        cursor: AdvanceSchedule,
    ) -> Result<(), WriteError> {
        let by = schedule.describe_origin(due);
        let params = match check_params(pipeline, &schedule.params, &self.backend.projects) {
            Ok(params) => params,
            Err(errors) => {
                let why = errors.first().map(|error| error.message.as_str()).unwrap_or_default();
                tracing::error!(
                    pipeline = pipeline.name,
                    by,
                    why,
                    "a scheduled run cannot start: its parameters are not valid"
                );
                let skip = SkipDueTime { cursor, kind: SkipKind::Params, detail: why.to_owned() };
                return self.backend.journal.execute(skip, None).await;
            }
        };
        let (identity, name) = (schedule.identity(), name.to_owned());
        let slot = ScheduleSlot { schedule: identity, name, overlap: schedule.overlap, by_hand: false };
        let (id, origin) = (RunId::generate(), RunOrigin { kind: OriginKind::Schedule, name: by.clone() });
        let new = CreateRun {
            id: id.clone(),
            pipeline: Arc::clone(pipeline),
            params,
            // A pipeline file contains no secrets.
            secrets: Secrets::new(),
            priority: pipeline.priority,
            at: Timestamp::now(),
            idempotency: None,
            origin: Some(NewFrame::now(None, &FramePayload::Origin(Origin { by: by.clone() }))),
            schedule: Some(cursor),
            trigger: Some(RunTrigger::Schedule(slot)),
            max_pending: Some(self.backend.max_queued),
            audit: Some(trigger_audit_entry(&origin, "schedule", id.clone(), &pipeline.name)),
            asked_by: Some(origin),
        };
        match self.backend.journal.create(new).await {
            Err(WriteError::Skipped(kind)) => {
                // The page of schedules shows the reason.
                tracing::debug!(pipeline = pipeline.name, by, why = kind.as_str(), "a due time was skipped");
                return Ok(());
            }
            created => created?,
        };
        tracing::info!(pipeline = pipeline.name, run = id.as_str(), by, "created a scheduled run");
        self.backend.engine.wake();
        Ok(())
    }
}

fn after(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp(at.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}
