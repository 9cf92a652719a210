//! A row of the run list.

use leptos::prelude::*;

use crate::base;
use crate::model::visible::plain;
use crate::model::{Phase, PhaseState, Run, StartOptions, Status, plan};
use crate::ui::components::icon::Icon;
use crate::ui::components::invisible::mark_invisible;
use crate::ui::components::params;
use crate::ui::components::queue::{LiveQueue, MissingWorker, QueuePosition};
use crate::ui::components::status::StatusBadge;
use crate::ui::components::time::{Elapsed, Moment};

#[component]
pub fn RunRow(
    run: ArcRwSignal<Run>,
    /// For the titles of the pipelines.
    offer: RwSignal<StartOptions>,
    queue: LiveQueue,
) -> impl IntoView {
    let run = RwSignal::from(run);
    let id = run.with_untracked(|run| run.id.clone());
    let name = run.with_untracked(|run| run.pipeline.clone());
    let title = Memo::new(move |_| offer.with(|offer| title_of(offer, &name)));
    let status = Memo::new(move |_| run.with(|run| run.status));
    let attempt = Memo::new(move |_| run.with(|run| run.attempt));
    let needs_approval = Memo::new(move |_| run.with(|run| run.approval.is_some()));
    let is_cancelling = Memo::new(move |_| run.with(|run| run.cancel.is_some()));
    let summary = Memo::new(move |_| run.with(|run| params::summary(&run.params)));
    let from = Memo::new(move |_| run.with(|run| run.started_at));
    let to = Memo::new(move |_| run.with(|run| run.finished_at));
    let started_or_queued = Memo::new(move |_| run.with(|run| Some(run.started_at.unwrap_or(run.queued_at))));
    let phases = Memo::new(move |_| run.with(|run| run.phases.clone()));
    let phase = Memo::new(move |_| run.with(|run| run.phase.clone()));
    let pinned = Memo::new(move |_| run.with(|run| run.pin.pinned));
    let (short, queued, waiting) = (id.short().to_owned(), id.clone(), id.clone());
    view! {
        <li
            class="relative grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-1 border-b border-line px-4 py-2.5 transition-colors last:border-b-0 hover:bg-hover md:gap-x-3 md:grid-cols-[6.75rem_minmax(0,1fr)_5rem_5.5rem_3.25rem] xl:gap-x-4 xl:grid-cols-[7.5rem_minmax(0,1fr)_8rem_6.5rem_4rem] md:py-2"
            data-testid="run-row"
            data-run-id=id.to_string()
            data-status=move || status.get().as_str()
            data-cancelling=move || is_cancelling.get().then_some("")
            data-pinned=move || pinned.get().to_string()
        >
            <div class="max-md:order-2"><StatusBadge status needs_approval is_cancelling/></div>
            <div class="min-w-0 max-md:order-1">
                <div class="flex items-center gap-2">
                    <a
                        href=base::path(&format!("/runs/{id}"))
                        class="truncate text-sm font-medium after:absolute after:inset-0 focus-visible:outline-none focus-visible:after:outline-2 focus-visible:after:-outline-offset-2 focus-visible:after:outline-accent"
                    >
                        {title}
                    </a>
                    <span class="text-faint [&>svg]:size-3.5 [&>svg]:fill-current" class:hidden=move || !pinned.get() title="Pinned">
                        {Icon::Pin.draw()}
                        <span class="sr-only">"Pinned"</span>
                    </span>
                    {move || (attempt.get() > 1).then(|| {
                        view! { <span class="tag">{format!("attempt {}", attempt.get())}</span> }
                    })}
                </div>
                <p class="truncate text-xs text-faint">
                    <span class="font-mono">{short}</span>
                    {move || summary.with(|summary| (!summary.is_empty()).then(|| mark_invisible(&format!(" · {summary}"))))}
                </p>
                <div class="pt-0.5 text-xs empty:hidden">
                    {move || (status.get() == Status::Pending).then(|| view! { <MissingWorker id=waiting.clone() queue/> })}
                </div>
            </div>
            <div class="min-w-0 max-md:order-5 max-md:col-span-2">
                <PhaseBar phases status/>
                <p class="truncate pt-1 text-xs text-soft empty:hidden">
                    {move || phase.get()}
                    {move || (status.get() == Status::Pending).then(|| view! { <QueuePosition id=queued.clone() queue/> })}
                </p>
            </div>
            <div class="text-xs text-soft max-md:order-3 md:text-right"><Moment at=started_or_queued/></div>
            <div class="text-right text-xs text-soft max-md:order-4"><Elapsed from to/></div>
        </li>
    }
}

/// The title of a pipeline, or its name if it no longer exists.
pub fn title_of(offer: &StartOptions, name: &str) -> String {
    plain(offer.pipelines.iter().find(|pipeline| pipeline.name == name).map_or(name, |pipeline| &pipeline.title))
}

/// A segment for each phase.
#[component]
fn PhaseBar(phases: Memo<Vec<Phase>>, status: Memo<Status>) -> impl IntoView {
    let label = move || {
        let done = phases.with(|phases| phases.iter().filter(|phase| phase.state == PhaseState::Completed).count());
        format!("{done} of {} phases completed", phases.with(Vec::len))
    };
    let segment = |(phase, cut_off): (Phase, bool)| {
        let color = match phase.state {
            PhaseState::Failed if cut_off => "bg-faint",
            PhaseState::Pending | PhaseState::Skipped => "bg-line",
            PhaseState::Started => "bg-info motion-safe:animate-pulse",
            PhaseState::Completed => "bg-ok",
            PhaseState::Failed => "bg-bad",
        };
        view! { <span class=format!("h-1 min-w-1 flex-1 rounded-full {color}")></span> }
    };
    view! {
        <div class="flex gap-0.5" role="img" aria-label=label title=label>
            {move || {
                let phases = phases.get();
                let cut_off = plan::interrupted_phase(&phases, status.get());
                phases.into_iter().enumerate().map(|(at, phase)| segment((phase, cut_off == Some(at)))).collect_view()
            }}
        </div>
    }
}
