//! A schedule and its actions. Works without JavaScript.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::icon::Icon;
use super::notice::{UNCONFIRMED, for_action};
use super::post_form::PostForm;
use super::status::{StatusBadge, label};
use super::time::Moment;
use crate::base;
use crate::calls::triggers::{PauseSchedules, ResumeSchedules, RunSchedule};
use crate::model::trigger::{LastRun, SchedulePause, ScheduleView, SkippedDueTimes};
use crate::model::visible::plain;
use crate::model::{Problem, Role};
use crate::ui::clock::Clock;
use crate::ui::current_user::has_role;
use crate::ui::format;

/// Pause, resume and run now.
#[derive(Clone, Copy)]
pub struct ScheduleActions {
    pause: ServerAction<PauseSchedules>,
    resume: ServerAction<ResumeSchedules>,
    run: ServerAction<RunSchedule>,
}

impl ScheduleActions {
    pub fn new() -> Self {
        Self { pause: ServerAction::new(), resume: ServerAction::new(), run: ServerAction::new() }
    }

    /// The number of actions done. Tracked.
    pub fn done(self) -> usize {
        let count = |version: RwSignal<usize>| version.get();
        [self.pause.version(), self.resume.version(), self.run.version()].into_iter().map(count).sum()
    }

    /// The problem of the last action. Tracked.
    pub fn problem(self) -> Option<Problem> {
        let paused = self.pause.value().get().and_then(Result::err);
        let resumed = self.resume.value().get().and_then(Result::err);
        let ran = self.run.value().get().and_then(Result::err);
        paused.or(resumed).or(ran).map(|problem| for_action(problem, UNCONFIRMED))
    }

    fn clear(self) {
        self.pause.clear();
        self.resume.clear();
        self.run.clear();
    }

    /// The form that pauses a schedule, or all of them if the names are empty.
    pub fn pause_form(self, pipeline: &str, name: &str) -> impl IntoView + use<> {
        let reason = NodeRef::<leptos::html::Input>::new();
        let (pipeline, name) = (pipeline.to_owned(), name.to_owned());
        let is_all = pipeline.is_empty();
        let on_submit = {
            let (pipeline, name) = (pipeline.clone(), name.clone());
            move |()| {
                if !self.pause.pending().get_untracked() {
                    self.clear();
                    let reason = reason.get_untracked().map(|field| field.value()).unwrap_or_default();
                    self.pause.dispatch(PauseSchedules { pipeline: pipeline.clone(), name: name.clone(), reason });
                }
            }
        };
        view! {
            <details class="relative">
                <summary
                    class="button button-small w-fit list-none [&::-webkit-details-marker]:hidden"
                    data-testid=if is_all { "pause-all" } else { "pause-schedule" }
                >
                    {if is_all { "Pause all" } else { "Pause" }}
                </summary>
                <PostForm
                    url=PauseSchedules::url()
                    on_submit=Callback::new(on_submit)
                    class="card absolute top-full right-0 z-30 mt-1.5 flex w-72 max-w-[calc(100vw-2rem)] flex-col gap-2 p-3 text-sm shadow-lg"
                >
                    <input type="hidden" name="pipeline" value=pipeline/>
                    <input type="hidden" name="name" value=name/>
                    <label class="flex flex-col gap-1">
                        <span class="text-xs text-soft">"Reason (optional, shown to everyone)"</span>
                        <input class="field field-small" name="reason" maxlength="500" autocomplete="off" data-testid="pause-reason" node_ref=reason/>
                    </label>
                    <p class="text-xs text-faint">"Runs that come due while paused are skipped."</p>
                    <button class="button button-small self-end" data-testid="pause-confirm" disabled=move || self.pause.pending().get()>
                        {if is_all { "Pause all schedules" } else { "Pause schedule" }}
                    </button>
                </PostForm>
            </details>
        }
    }

    /// The form that resumes a schedule, or all of them if the names are empty.
    pub fn resume_form(self, pipeline: &str, name: &str) -> impl IntoView + use<> {
        let (pipeline, name) = (pipeline.to_owned(), name.to_owned());
        let is_all = pipeline.is_empty();
        let on_submit = {
            let (pipeline, name) = (pipeline.clone(), name.clone());
            move |()| {
                if !self.resume.pending().get_untracked() {
                    self.clear();
                    self.resume.dispatch(ResumeSchedules { pipeline: pipeline.clone(), name: name.clone() });
                }
            }
        };
        view! {
            <PostForm url=ResumeSchedules::url() on_submit=Callback::new(on_submit)>
                <input type="hidden" name="pipeline" value=pipeline/>
                <input type="hidden" name="name" value=name/>
                <button
                    class="button button-small"
                    data-testid=if is_all { "resume-all" } else { "resume-schedule" }
                    disabled=move || self.resume.pending().get()
                >
                    {if is_all { "Resume all" } else { "Resume" }}
                </button>
            </PostForm>
        }
    }

    fn run_form(self, pipeline: &str, name: &str) -> impl IntoView + use<> {
        let (pipeline, name) = (pipeline.to_owned(), name.to_owned());
        let on_submit = {
            let (pipeline, name) = (pipeline.clone(), name.clone());
            move |()| {
                if !self.run.pending().get_untracked() {
                    self.clear();
                    self.run.dispatch(RunSchedule { pipeline: pipeline.clone(), name: name.clone() });
                }
            }
        };
        view! {
            <PostForm url=RunSchedule::url() on_submit=Callback::new(on_submit)>
                <input type="hidden" name="pipeline" value=pipeline/>
                <input type="hidden" name="name" value=name/>
                <button class="button button-small" data-testid="run-schedule" disabled=move || self.run.pending().get()>
                    {Icon::Start.draw()}
                    "Run now"
                </button>
            </PostForm>
        }
    }
}

impl Default for ScheduleActions {
    fn default() -> Self {
        Self::new()
    }
}

#[component]
pub fn ScheduleRow(
    /// A change of the name, expression or time zone, or a pause, makes another row.
    schedule: Memo<ScheduleView>,
    actions: ScheduleActions,
) -> impl IntoView {
    let ScheduleView { pipeline, title, name, cron, timezone, overlap, paused, .. } = schedule.get_untracked();
    let clock = Clock::from_context();
    let is_paused = paused.is_some();
    let pause_or_resume = match is_paused {
        true => actions.resume_form(&pipeline, &name).into_any(),
        false => actions.pause_form(&pipeline, &name).into_any(),
    };
    let run_now = actions.run_form(&pipeline, &name);
    let next = Memo::new(move |_| schedule.with(|now| (now.next, now.local.clone())));
    let last = Memo::new(move |_| schedule.with(|now| now.last.clone()));
    let skipped = Memo::new(move |_| schedule.with(|now| now.skipped.clone()));
    let due = move || {
        let (Some(next), local) = next.get() else { return "–".into_any() };
        let ahead = move || clock.until(next).map(|left| format!("{} · ", format::ahead(left)));
        let exact = move || clock.exact(next);
        view! { <time datetime=next.to_string() title=exact data-testid="schedule-next">{ahead}{local}</time> }
            .into_any()
    };
    let last_run = move || match last.get() {
        Some(last) => view! { <LastRunLink last/> }.into_any(),
        None => "–".into_any(),
    };
    view! {
        <li
            class="card flex flex-col gap-2 px-4 py-3"
            data-testid="schedule-row"
            data-pipeline=pipeline
            data-name=name.clone()
            data-paused=is_paused.to_string()
        >
            <div class="flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
                <div class="min-w-0">
                    <h2 class="text-sm font-semibold break-words">
                        {plain(&title)}
                        <span class="ml-2 font-normal text-soft">{name.clone()}</span>
                    </h2>
                    <p class="text-xs break-words text-faint">
                        <code class="font-mono">{cron}</code>
                        {format!(" · {timezone} · overlap: {}", overlap.as_str())}
                    </p>
                </div>
                <div class="flex gap-2" class:hidden=!has_role(Role::Operator)>{run_now}{pause_or_resume}</div>
            </div>
            <dl class="grid grid-cols-[max-content_minmax(0,1fr)] gap-x-4 gap-y-1 text-xs [&_dt]:text-faint">
                <dt>"Next"</dt>
                <dd class:text-faint=is_paused>{due}{is_paused.then_some(" (paused)")}</dd>
                <dt>"Last run"</dt>
                <dd class="min-w-0">{last_run}</dd>
                {move || skipped.get().map(|skipped| view! {
                    <dt>"Skipped"</dt>
                    <dd class="break-words" data-testid="schedule-skipped"><SkippedText skipped/></dd>
                })}
                {paused.map(|paused| view! {
                    <dt>"Paused"</dt>
                    <dd class="break-words text-warn" data-testid="schedule-paused"><PauseText paused/></dd>
                })}
            </dl>
        </li>
    }
}

#[component]
fn LastRunLink(last: LastRun) -> impl IntoView {
    let LastRun { id, status, at } = last;
    view! {
        <span class="inline-flex flex-wrap items-center gap-x-2 gap-y-1">
            <StatusBadge status=Signal::stored(status)/>
            <a href=base::path(&format!("/runs/{id}")) class="underline underline-offset-2 hover:text-accent" aria-label=format!("Last run: {}", label(status))>
                <Moment at=Signal::stored(Some(at))/>
            </a>
        </span>
    }
}

#[component]
fn SkippedText(skipped: SkippedDueTimes) -> impl IntoView {
    let SkippedDueTimes { count, last, reason, .. } = skipped;
    view! {
        {format::counted(count, "run")}
        ", most recently "
        <Moment at=Signal::stored(Some(last))/>
        {format!(": {reason}.")}
    }
}

#[component]
fn PauseText(paused: SchedulePause) -> impl IntoView {
    let SchedulePause { at, by, reason, all } = paused;
    view! {
        <Moment at=Signal::stored(Some(at))/>
        {plain(&format!(" by {by}"))}
        {all.then_some(" with all schedules")}
        {(!reason.is_empty()).then(|| plain(&format!(": {reason}")))}
    }
}
