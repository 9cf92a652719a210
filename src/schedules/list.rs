//! Lists schedules: all of them with their state, and the next due times.

use super::Rule;
use super::named::{NamedSchedule, schedule_not_found};
use crate::model::trigger::{ScheduleList, ScheduleView};
use crate::model::{Pipeline, PipelineFileError, Problem, Timestamp, UpcomingRun};
use crate::pipelines::check_params;
use crate::runs::{Backend, pipeline_fault};
use crate::store::ScheduleScope;

/// The most due times that the home page shows.
const MAX_UPCOMING: usize = 20;

/// All schedules, each with its next due time, its pause and its last run.
///
/// # Errors
/// The database's errors.
pub async fn list(backend: &Backend) -> Result<ScheduleList, Problem> {
    let (pauses, states) = (backend.store.pauses().await?, backend.store.schedule_states().await?);
    let now = Timestamp::now();
    let view = |named: NamedSchedule| {
        let paused = named.pause(&pauses);
        let state = named.state(&states).cloned().unwrap_or_default();
        let NamedSchedule { pipeline, schedule, name } = named;
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
    let schedules = NamedSchedule::all(backend).into_iter().map(view).collect();
    Ok(ScheduleList { schedules, paused: pauses.get(&ScheduleScope::All).cloned() })
}

/// One schedule of the list.
pub(super) async fn view(backend: &Backend, named: &NamedSchedule) -> Result<ScheduleView, Problem> {
    let all = list(backend).await?;
    let is_it = |view: &ScheduleView| view.pipeline == named.pipeline.name && view.name == named.name;
    let found = all.schedules.into_iter().find(is_it);
    found.ok_or_else(|| schedule_not_found(&named.pipeline.name, &named.name))
}

/// The pipelines by title, each schedule with its next due time.
pub fn pipelines(backend: &Backend) -> Vec<Pipeline> {
    let now = Timestamp::now();
    let mut pipelines = backend.catalog.all();
    for schedule in pipelines.iter_mut().flat_map(|pipeline| &mut pipeline.schedules) {
        schedule.next = Rule::read(&schedule.cron, &schedule.timezone).ok().and_then(|rule| rule.next(now));
    }
    pipelines
}

/// The next due time of each schedule, the soonest first.
pub fn upcoming(backend: &Backend) -> Vec<UpcomingRun> {
    let now = Timestamp::now();
    let snapshot = backend.catalog.snapshot();
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
    upcoming.truncate(MAX_UPCOMING);
    upcoming
}

/// Schedules whose runs could not start now, for example because their project folder is missing.
pub fn faults(backend: &Backend) -> Vec<PipelineFileError> {
    let snapshot = backend.catalog.snapshot();
    let mut faults = Vec::new();
    for pipeline in snapshot.pipelines.values() {
        for schedule in &pipeline.schedules {
            let Err(errors) = check_params(pipeline, &schedule.params, &backend.projects) else { continue };
            let why = errors.first().map(|error| error.message.as_str()).unwrap_or_default();
            let reason = format!("The schedule {} cannot start a run: {why}", schedule.cron);
            faults.push(pipeline_fault(&snapshot, pipeline, schedule.line, reason));
        }
    }
    faults
}
