//! Schedules: what is due is asked for, each due time once. Carries nothing out: it leaves pending runs, as a person does.
//!
//! How far a schedule is done stands in the database. A run for a due time is created in the write that moves that mark, from
//! where it was read (`store::Mark`): of several servers that look, or of one that was killed and looks again, one gets it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Service;
use super::actor::triggered;
use crate::journal::WriteError;
use crate::model::kinds::Origin;
use crate::model::schedule::handles;
use crate::model::trigger::SkipKind;
use crate::model::{
    FramePayload, OriginKind, Pipeline, PipelineFileError, RunId, RunOrigin, Schedule, Secrets, Timestamp, UpcomingRun,
};
use crate::pipelines::{Snapshot, check_params};
use crate::schedules::{Due, Look, Missing, Rule, due};
use crate::store::{AdvanceSchedule, CreateRun, NewFrame, RunTrigger, ScheduleSlot, SkipDueTime};

/// The longest time between two looks. What is waited for is a moment of a clock that may be set, on a machine that may sleep:
/// a timer hears of neither.
const LOOK: Duration = Duration::from_secs(30);

/// How long to wait before another try when the database did not answer, or somebody else was faster.
const RETRY: Duration = Duration::from_secs(1);

/// How many upcoming times are shown.
const SHOWN: usize = 20;

/// The task that looks after schedules.
pub struct ScheduleTask {
    service: Service,
    stop: CancellationToken,
    /// Marks whose schedules are not there.
    missing: Missing,
    /// Since when it looks. Never later than now, also when the clock is set back.
    since: Timestamp,
}

impl ScheduleTask {
    /// A task that looks until the signal comes.
    pub fn new(service: Service, stop: CancellationToken) -> Self {
        Self { service, stop, missing: Missing::default(), since: Timestamp::now() }
    }

    /// Looks whenever something is due or the pipelines change.
    pub async fn run(mut self) {
        let mut changes = self.service.catalog.subscribe();
        while !self.stop.is_cancelled() {
            let snapshot = changes.borrow_and_update().clone();
            let wait = match self.look(&snapshot).await {
                Ok(Some(next)) => Duration::from_millis(next.since(Timestamp::now())).min(LOOK),
                Ok(None) => LOOK,
                Err(WriteError::Closed) => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot look after schedules; trying again in a moment");
                    RETRY
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                // The sender is part of the catalog that this task holds.
                _ = changes.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Asks for what is due. Returns when something is due next.
    async fn look(&mut self, snapshot: &Snapshot) -> Result<Option<Timestamp>, WriteError> {
        let mut marks = self.service.store.schedule_cursors().await?;
        let mut next: Option<Timestamp> = None;
        for pipeline in snapshot.pipelines.values() {
            for (schedule, name) in pipeline.schedules.iter().zip(handles(&pipeline.schedules)) {
                let done = marks.remove(&(pipeline.name.clone(), schedule.identity()));
                let at = match self.keep(pipeline, schedule, &name, done).await {
                    // Somebody else has moved the mark: look again where it is now.
                    Err(WriteError::Refused) => Some(later(Timestamp::now(), RETRY)),
                    other => other?,
                };
                next = [next, at].into_iter().flatten().min();
            }
        }
        // Those that are left belong to schedules that are gone.
        let (gone, again) = self.missing.forget(marks, snapshot.faults.is_empty(), Instant::now());
        for ((pipeline, schedule), done) in gone {
            tracing::info!(pipeline, schedule, "forgot a schedule that is gone");
            match self
                .service
                .journal
                .execute(AdvanceSchedule { pipeline, schedule, from: Some(done), to: None }, None)
                .await
            {
                Ok(()) | Err(WriteError::Refused) => {}
                Err(error) => return Err(error),
            }
        }
        Ok([next, again.map(|wait| later(Timestamp::now(), wait))].into_iter().flatten().min())
    }

    /// Asks for what is due of one schedule. Returns when it is due next.
    async fn keep(
        &mut self,
        pipeline: &Arc<Pipeline>,
        schedule: &Schedule,
        name: &str,
        done: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, WriteError> {
        // It was read before when its file was; only a zone that has gone from the system since makes it fail.
        let rule = match Rule::read(&schedule.cron, &schedule.timezone) {
            Ok(rule) => rule,
            Err(error) => {
                tracing::error!(pipeline = pipeline.name, %error, "a schedule cannot be kept");
                return Ok(None);
            }
        };
        let mark = |from: Option<Timestamp>, to: Timestamp| AdvanceSchedule {
            pipeline: pipeline.name.clone(),
            schedule: schedule.identity(),
            from,
            to: Some(to),
        };
        let Some(mut done) = done else {
            let now = Timestamp::now();
            self.service.journal.execute(mark(None, now), None).await?;
            return Ok(rule.next(now));
        };
        loop {
            let now = Timestamp::now();
            self.since = self.since.min(now);
            match due(&rule, schedule.missed, Look { done, since: self.since, now }) {
                Due::Wait(next) => return Ok(next),
                Due::Rebase => {
                    tracing::warn!(pipeline = pipeline.name, %done, "the clock was far ahead once; a schedule begins anew");
                    self.service.journal.execute(mark(Some(done), now), None).await?;
                    done = now;
                }
                Due::Start(at) => {
                    self.start(pipeline, schedule, name, at, mark(Some(done), at)).await?;
                    done = at;
                }
            }
        }
    }

    /// Asks for the run of a due time, and moves the mark. There is none while the schedule is paused, while an earlier one is in its
    /// way, or if what the schedule gives does not fit any more.
    async fn start(
        &self,
        pipeline: &Arc<Pipeline>,
        schedule: &Schedule,
        name: &str,
        due: Timestamp,
        cursor: AdvanceSchedule,
    ) -> Result<(), WriteError> {
        let by = schedule.describe_origin(due);
        let params = match check_params(pipeline, &schedule.params, &self.service.projects) {
            Ok(params) => params,
            Err(errors) => {
                let why = errors.first().map(|error| error.message.as_str()).unwrap_or_default();
                tracing::error!(pipeline = pipeline.name, by, why, "a scheduled run cannot start");
                let skip = SkipDueTime { cursor, kind: SkipKind::Params, detail: why.to_owned() };
                return self.service.journal.execute(skip, None).await;
            }
        };
        let (identity, name) = (schedule.identity(), name.to_owned());
        let slot = ScheduleSlot { schedule: identity, name, overlap: schedule.overlap, by_hand: false };
        let (id, origin) = (RunId::generate(), RunOrigin { kind: OriginKind::Schedule, name: by.clone() });
        let new = CreateRun {
            id: id.clone(),
            pipeline: Arc::clone(pipeline),
            params,
            // A file cannot give any.
            secrets: Secrets::new(),
            priority: pipeline.priority,
            at: Timestamp::now(),
            idempotency: None,
            origin: Some(NewFrame::now(None, &FramePayload::Origin(Origin { by: by.clone() }))),
            schedule: Some(cursor),
            trigger: Some(RunTrigger::Schedule(slot)),
            max_pending: Some(self.service.max_queued),
            audit: Some(triggered(&origin, "schedule", id.clone(), &pipeline.name)),
            asked_by: Some(origin),
        };
        match self.service.journal.create(new).await {
            Err(WriteError::Skipped(kind)) => {
                // The page of schedules tells it.
                tracing::debug!(pipeline = pipeline.name, by, why = kind.as_str(), "a due time was skipped");
                return Ok(());
            }
            created => created?,
        };
        tracing::info!(pipeline = pipeline.name, run = id.as_str(), by, "asked for a scheduled run");
        self.service.engine.wake();
        Ok(())
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp(at.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}

impl Service {
    /// The pipelines there are, by title, each schedule with the time when it is due next.
    pub fn pipelines(&self) -> Vec<Pipeline> {
        let now = Timestamp::now();
        let mut pipelines = self.catalog.all();
        for schedule in pipelines.iter_mut().flat_map(|pipeline| &mut pipeline.schedules) {
            schedule.next = Rule::read(&schedule.cron, &schedule.timezone).ok().and_then(|rule| rule.next(now));
        }
        pipelines
    }

    /// The next time of each schedule, the soonest first.
    pub(super) fn upcoming(&self) -> Vec<UpcomingRun> {
        let now = Timestamp::now();
        let snapshot = self.catalog.snapshot();
        let upcoming = snapshot.pipelines.values().flat_map(|pipeline| {
            pipeline.schedules.iter().filter_map(move |schedule| {
                let rule = Rule::read(&schedule.cron, &schedule.timezone).ok()?;
                let next = rule.next(now)?;
                Some(UpcomingRun {
                    pipeline: pipeline.name.clone(),
                    title: pipeline.title.clone(),
                    name: schedule.name.clone(),
                    cron: schedule.cron.clone(),
                    timezone: schedule.timezone.clone(),
                    next,
                    local: rule.local(next),
                })
            })
        });
        let mut upcoming: Vec<UpcomingRun> = upcoming.collect();
        upcoming.sort_by(|a, b| (a.next, &a.title, &a.name).cmp(&(b.next, &b.title, &b.name)));
        upcoming.truncate(SHOWN);
        upcoming
    }

    /// Schedules whose runs could not start if they were due now: their project is gone, say.
    pub(super) fn schedule_faults(&self) -> Vec<PipelineFileError> {
        let snapshot = self.catalog.snapshot();
        let mut faults = Vec::new();
        for pipeline in snapshot.pipelines.values() {
            for schedule in &pipeline.schedules {
                let Err(errors) = check_params(pipeline, &schedule.params, &self.projects) else { continue };
                let why = errors.first().map(|error| error.message.as_str()).unwrap_or_default();
                let reason = format!("The schedule {} cannot start a run: {why}", schedule.cron);
                faults.push(fault(&snapshot.files, pipeline, schedule.line, reason));
            }
        }
        faults
    }
}

/// A fault of a pipeline whose file was read.
pub(super) fn fault(
    files: &BTreeMap<String, String>,
    pipeline: &Pipeline,
    line: usize,
    reason: String,
) -> PipelineFileError {
    let file = files.get(&pipeline.name).cloned().unwrap_or_else(|| pipeline.name.clone());
    PipelineFileError { file, line, reason }
}
