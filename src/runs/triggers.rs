//! What people ask of schedules and deliveries: which there are, pause, resume, run now.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Actor, Service, bounded};
use crate::model::audit::AuditAction;
use crate::model::kinds::Origin;
use crate::model::schedule::handles;
use crate::model::trigger::{
    DeliveryFilter, DeliveryPage, PauseSummary, RecentSkips, ScheduleList, SchedulePause, ScheduleView, SkipKind,
    SkippedDueTimes, TriggerAlerts,
};
use crate::model::{FramePayload, Pipeline, Problem, ProblemCode, Run, RunId, Schedule, Secrets, Timestamp};
use crate::pipelines::check_params;
use crate::schedules::Rule;
use crate::store::{
    CreateRun, Created, NewFrame, PauseSchedules, ResumeSchedules, RunTrigger, ScheduleScope, ScheduleSlot,
    ScheduleState,
};

/// Deliveries a page of the list holds if nothing else is asked for, and the most that may be asked for.
const DELIVERIES: (u32, u32) = (50, 200);

/// How long the first page tells of a delivery that was refused, in milliseconds: a day.
const NEWS_MS: i64 = 24 * 60 * 60 * 1000;

/// The longest reason for a pause, in characters.
const LONGEST_REASON: usize = 500;

/// A schedule, its pipeline, and what calls name it by.
struct Named {
    pipeline: Arc<Pipeline>,
    schedule: Schedule,
    name: String,
}

impl Named {
    fn place(&self) -> ScheduleScope {
        ScheduleScope::One(self.pipeline.name.clone(), self.name.clone())
    }
}

impl Service {
    /// Deliveries of hooks, newest first.
    ///
    /// # Errors
    /// [`ProblemCode::BadRequest`] for a limit out of bounds or a `before` that is no place; the database's own.
    pub async fn deliveries(&self, filter: &DeliveryFilter) -> Result<DeliveryPage, Problem> {
        let limit = bounded(filter.limit, DELIVERIES)?;
        let fault = |text: &str| Problem::new(ProblemCode::BadRequest, format!("`{text}` is no place in the list."));
        let before = filter.before.as_deref().filter(|before| !before.is_empty());
        let before = before.map(|before| before.parse::<i64>().map_err(|_| fault(before))).transpose()?;
        let (deliveries, next) = self.store.hook_deliveries(filter, limit, before).await?;
        Ok(DeliveryPage { deliveries, next: next.map(|key| key.to_string()) })
    }

    /// What every page tells: pauses, and deliveries that were refused lately.
    ///
    /// # Errors
    /// The database's own.
    pub async fn trigger_news(&self) -> Result<TriggerAlerts, Problem> {
        let since = Timestamp(Timestamp::now().0 - NEWS_MS);
        let refused = self.store.refused_hook_deliveries(since).await?;
        let (pauses, states) = (self.store.pauses().await?, self.store.schedule_states().await?);
        let all = self.named();
        let skipped = skipped_lately(&all, &states, since);
        let mut paused: Vec<SchedulePause> = all.iter().filter_map(|named| pause_of(&pauses, named)).collect();
        let count = paused.len() as u64;
        paused.extend(pauses.get(&ScheduleScope::All).cloned());
        paused.sort_by_key(|pause| pause.at);
        let paused = paused.first().map(|first| PauseSummary {
            count,
            of: all.len() as u64,
            first: first.clone(),
            differs: paused.iter().any(|other| (&other.by, &other.reason) != (&first.by, &first.reason)),
        });
        Ok(TriggerAlerts { paused, refused, skipped })
    }

    /// All schedules and what is known of them.
    ///
    /// # Errors
    /// The database's own.
    pub async fn schedules(&self) -> Result<ScheduleList, Problem> {
        let (pauses, mut states) = (self.store.pauses().await?, self.store.schedule_states().await?);
        let now = Timestamp::now();
        let view = |named: Named| {
            let paused = pause_of(&pauses, &named);
            let Named { pipeline, schedule, name } = named;
            let state = states.remove(&(pipeline.name.clone(), schedule.identity())).unwrap_or_default();
            let rule = Rule::read(&schedule.cron, &schedule.timezone).ok();
            let next = rule.as_ref().and_then(|rule| rule.next(now));
            ScheduleView {
                pipeline: pipeline.name.clone(),
                title: pipeline.title.clone(),
                name,
                local: rule.zip(next).map(|(rule, next)| rule.local(next)).unwrap_or_default(),
                cron: schedule.cron,
                timezone: schedule.timezone,
                missed: schedule.missed,
                overlap: schedule.overlap,
                next,
                paused,
                skipped: state.skipped,
                last: state.last,
            }
        };
        let schedules = self.named().into_iter().map(view).collect();
        Ok(ScheduleList { schedules, paused: pauses.get(&ScheduleScope::All).cloned() })
    }

    /// Pauses a schedule. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`ProblemCode::ScheduleNotFound`], [`ProblemCode::BadRequest`] for a reason that is too long; the database's own.
    pub async fn pause_schedule(
        &self,
        pipeline: &str,
        name: &str,
        by: &Actor,
        reason: &str,
    ) -> Result<ScheduleView, Problem> {
        let named = self.find_schedule(pipeline, name)?;
        self.pause(named.place(), by, reason).await?;
        self.schedule(&named).await
    }

    /// Lets a schedule go on. Due times that passed meanwhile are not made up for. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`ProblemCode::ScheduleNotFound`]; the database's own.
    pub async fn resume_schedule(&self, pipeline: &str, name: &str, by: &Actor) -> Result<ScheduleView, Problem> {
        let named = self.find_schedule(pipeline, name)?;
        let others = self.named().into_iter().filter(|other| other.place() != named.place());
        let others = others.map(|other| (other.pipeline.name.clone(), other.name)).collect();
        let note = by.note(AuditAction::ScheduleResume, None, Some(format!("{pipeline}/{}", named.name)));
        self.journal.execute(ResumeSchedules { scope: named.place(), others }, Some(note)).await?;
        tracing::info!(pipeline, schedule = named.name, %by, "a schedule goes on");
        self.schedule(&named).await
    }

    /// Pauses all schedules, also those that are added later.
    ///
    /// # Errors
    /// [`ProblemCode::BadRequest`] for a reason that is too long; the database's own.
    pub async fn pause_schedules(&self, by: &Actor, reason: &str) -> Result<ScheduleList, Problem> {
        self.pause(ScheduleScope::All, by, reason).await?;
        self.schedules().await
    }

    /// Lets all schedules go on, also those that were paused one by one.
    ///
    /// # Errors
    /// The database's own.
    pub async fn resume_schedules(&self, by: &Actor) -> Result<ScheduleList, Problem> {
        let note = by.note(AuditAction::ScheduleResume, None, Some("all".to_owned()));
        self.journal.execute(ResumeSchedules { scope: ScheduleScope::All, others: Vec::new() }, Some(note)).await?;
        tracing::info!(%by, "all schedules go on");
        self.schedules().await
    }

    /// Asks for a run of a schedule now, paused or not. Returns it, and whether it is new: one that waits already is the one that
    /// was asked for, unless the schedule queues all of its runs.
    ///
    /// # Errors
    /// [`ProblemCode::ScheduleNotFound`], [`ProblemCode::InvalidParams`], [`ProblemCode::GroupBusy`], [`ProblemCode::TooManyQueued`]; the database's own.
    pub async fn run_schedule(&self, pipeline: &str, name: &str, by: &Actor) -> Result<(Run, bool), Problem> {
        let Named { pipeline, schedule, name } = self.find_schedule(pipeline, name)?;
        let params = check_params(&pipeline, &schedule.params, &self.projects).map_err(Problem::params)?;
        let slot = ScheduleSlot { schedule: schedule.identity(), name, overlap: schedule.overlap, by_hand: true };
        let origin =
            NewFrame::now(None, &FramePayload::Origin(Origin { by: schedule.describe_manual_origin(&by.to_string()) }));
        let id = RunId::generate();
        let audit = by.note(AuditAction::RunStart, Some(id.clone()), Some(pipeline.name.clone()));
        let new = CreateRun {
            id,
            priority: pipeline.priority,
            pipeline,
            params,
            // A file cannot give any.
            secrets: Secrets::new(),
            at: Timestamp::now(),
            idempotency: None,
            origin: Some(origin),
            schedule: None,
            trigger: Some(RunTrigger::Schedule(slot)),
            max_pending: Some(self.max_queued),
            asked_by: Some(by.origin()),
            audit: Some(audit),
        };
        let Created { is_new, run, .. } = self.create(new).await?;
        self.engine.wake();
        Ok((*run, is_new))
    }

    async fn pause(&self, place: ScheduleScope, by: &Actor, reason: &str) -> Result<(), Problem> {
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        if reason.chars().count() > LONGEST_REASON {
            let detail = format!("A reason has at most {LONGEST_REASON} characters.");
            return Err(Problem::new(ProblemCode::BadRequest, detail));
        }
        tracing::info!(?place, %by, reason, "schedules are paused");
        let pause =
            SchedulePause { at: Timestamp::now(), by: by.to_string(), reason, all: place == ScheduleScope::All };
        let what = match &place {
            ScheduleScope::All => "all".to_owned(),
            ScheduleScope::One(pipeline, name) => format!("{pipeline}/{name}"),
        };
        let what = if pause.reason.is_empty() { what } else { format!("{what}: {}", pause.reason) };
        let note = by.note(AuditAction::SchedulePause, None, Some(what));
        Ok(self.journal.execute(PauseSchedules { scope: place, pause }, Some(note)).await?)
    }

    async fn schedule(&self, named: &Named) -> Result<ScheduleView, Problem> {
        let list = self.schedules().await?;
        let is_it = |view: &ScheduleView| view.pipeline == named.pipeline.name && view.name == named.name;
        list.schedules.into_iter().find(is_it).ok_or_else(|| no_schedule(&named.pipeline.name, &named.name))
    }

    /// The schedules of all pipelines, with what calls name each by.
    fn named(&self) -> Vec<Named> {
        let snapshot = self.catalog.snapshot();
        let of = |pipeline: &Arc<Pipeline>| {
            let names = handles(&pipeline.schedules);
            let all = pipeline.schedules.iter().cloned().zip(names);
            all.map(|(schedule, name)| Named { pipeline: Arc::clone(pipeline), schedule, name }).collect::<Vec<_>>()
        };
        snapshot.pipelines.values().flat_map(of).collect()
    }

    /// The schedule that is named like this: by what calls name it by, or else by its expression if only one has it.
    fn find_schedule(&self, pipeline: &str, name: &str) -> Result<Named, Problem> {
        let mut all: Vec<Named> = self.named();
        all.retain(|named| named.pipeline.name == pipeline);
        if let Some(at) = all.iter().position(|named| named.name == name) {
            return Ok(all.swap_remove(at));
        }
        all.retain(|named| named.schedule.cron == name || named.schedule.identity() == name);
        match (all.pop(), all.is_empty()) {
            (Some(only), true) => Ok(only),
            _ => Err(no_schedule(pipeline, name)),
        }
    }
}

fn pause_of(pauses: &BTreeMap<ScheduleScope, SchedulePause>, named: &Named) -> Option<SchedulePause> {
    pauses.get(&named.place()).or_else(|| pauses.get(&ScheduleScope::All)).cloned()
}

/// The schedules that skipped due times since then, other than by pauses.
fn skipped_lately(
    all: &[Named],
    states: &BTreeMap<(String, String), ScheduleState>,
    since: Timestamp,
) -> Option<RecentSkips> {
    let skipped = |named: &Named| {
        let state = states.get(&(named.pipeline.name.clone(), named.schedule.identity()))?;
        let skipped = state.skipped.clone()?;
        Some(skipped).filter(|skipped| skipped.last >= since && skipped.kind != SkipKind::Paused)
    };
    let found: Vec<(&Named, SkippedDueTimes)> = all.iter().filter_map(|named| Some((named, skipped(named)?))).collect();
    let schedules = found.len() as u64;
    let (named, skipped) = found.into_iter().max_by_key(|(_, skipped)| skipped.last)?;
    Some(RecentSkips { schedules, pipeline: named.pipeline.name.clone(), name: named.name.clone(), skipped })
}

fn no_schedule(pipeline: &str, name: &str) -> Problem {
    let detail =
        format!("The pipeline `{pipeline}` has no schedule `{name}`. `GET /api/v1/schedules` names all of them.");
    Problem::new(ProblemCode::ScheduleNotFound, detail)
}
