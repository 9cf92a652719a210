//! The home page: the run list, the start form, and notices.

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

use crate::browser::PageEvent;
use crate::calls::{list_runs, read_offer};
use crate::feed::{FeedIntervals, PageConnection};
use crate::model::{PipelineFileError, Role, StartOptions, Timestamp, UpcomingRun};
use crate::ui::clock::Clock;
use crate::ui::components::database::DatabaseLine;
use crate::ui::components::icon::Icon;
use crate::ui::components::load_error::{LoadError, retry_while_visible};
use crate::ui::components::notice::ProblemNotice;
use crate::ui::components::runs::{Filters, RunTable, filter_from_query};
use crate::ui::components::start::StartForm;
use crate::ui::components::text_with_code::TextWithCode;
use crate::ui::components::trigger_notices::TriggerNotices;
use crate::ui::components::upcoming::UpcomingCard;
use crate::ui::current_user::has_role;
use crate::ui::refresh::refresh_on;

/// The minimum time between two refreshes for due times.
const DUE_REFRESH_INTERVAL_MS: u64 = 3000;

#[component]
pub fn HomePage() -> impl IntoView {
    let query = use_query_map();
    let filter = Memo::new(move |_| filter_from_query(&query.get()));
    let offered = Resource::new_blocking(|| (), |()| read_offer());
    // The initial runs. When the filter changes, the list loads others itself.
    let runs = Resource::new_blocking(|| (), move |()| list_runs(filter.get_untracked()));
    let offer = RwSignal::new(StartOptions::default());
    let upcoming = RwSignal::new(Vec::new());
    let link = RwSignal::new(PageConnection::new(FeedIntervals::default(), true).state());
    keep_current(offer, upcoming);
    let retry = Callback::new(move |()| {
        offered.refetch();
        runs.refetch();
    });

    // All parts need the offer, and any of them may be rendered first.
    let take = move |answer: &Result<StartOptions, _>| {
        if let Ok(known) = answer
            && offer.with_untracked(|offer| offer.pipelines.is_empty() && offer.faults.is_empty())
        {
            accept(offer, upcoming, known.clone());
        }
    };
    let list = move || {
        Suspend::new(async move {
            take(&offered.await);
            match runs.await {
                Ok(page) => view! { <RunTable filter page offer link/> }.into_any(),
                Err(problem) => view! { <LoadError problem retry/> }.into_any(),
            }
        })
    };
    let form = move || {
        Suspend::new(async move {
            let answer = offered.await;
            take(&answer);
            let preselected = query.with_untracked(|query| query.get("pipeline"));
            match answer {
                Ok(_) => view! { <StartForm offer preselected link/> }.into_any(),
                // The list shows the retry button.
                Err(problem) => {
                    if problem.retryable {
                        retry_while_visible(retry);
                    }
                    view! { <ProblemNotice problem/> }.into_any()
                }
            }
        })
    };
    let schedules = move || {
        Suspend::new(async move {
            take(&offered.await);
            view! { <UpcomingCard upcoming/> }
        })
    };
    view! {
        <Title text="Runs"/>
        <div class="mx-auto grid w-full max-w-[88rem] items-start gap-x-6 gap-y-4 px-4 py-5 lg:grid-cols-[minmax(0,1fr)_21rem] lg:px-6">
            // At most as high as the window, so that its end is in reach beside a long list.
            <aside class="scrollbar-thin flex min-w-0 flex-col lg:sticky lg:top-17 lg:order-2 lg:max-h-[calc(100dvh-5.25rem)] lg:overflow-y-auto lg:pb-1">
                <StartCard>
                    <Transition fallback=|| view! { <p class="text-sm text-faint">"Loading…"</p> }>{form}</Transition>
                </StartCard>
                <PipelineErrors offer/>
                <Transition>{schedules}</Transition>
                <TriggerNotices/>
            </aside>
            <section class="flex min-w-0 flex-col gap-3" aria-labelledby="runs-title">
                <div class="flex flex-wrap items-center gap-x-4 gap-y-2">
                    <h1 id="runs-title" class="text-lg font-semibold tracking-tight">"Runs"</h1>
                    <div class="min-w-0 flex-1 basis-full sm:basis-72"><Filters filter offer/></div>
                </div>
                <Transition fallback=|| view! { <p class="text-sm text-faint">"Loading…"</p> }>{list}</Transition>
                <DatabaseLine/>
            </section>
        </div>
    }
}

/// The start form, for operators.
#[component]
fn StartCard(children: Children) -> impl IntoView {
    view! {
        <details class="card fold shrink-0" class:hidden=!has_role(Role::Operator) id="start">
            <summary class="flex list-none items-center justify-between px-4 py-3 text-sm font-semibold [&::-webkit-details-marker]:hidden">
                "New run"
                <span class="fold-mark text-faint transition-transform">{Icon::Fold.draw()}</span>
            </summary>
            <div class="px-4 pb-4 lg:pb-0">{children()}</div>
        </details>
    }
}

/// Updates the offer. Due times have a signal of their own, since they change far more often than the rest.
fn accept(offer: RwSignal<StartOptions>, upcoming: RwSignal<Vec<UpcomingRun>>, mut now: StartOptions) {
    let next = std::mem::take(&mut now.upcoming);
    if upcoming.try_with_untracked(|known| *known != next) == Some(true) {
        upcoming.try_set(next);
    }
    if offer.try_with_untracked(|known| *known != now) == Some(true) {
        offer.try_set(now);
    }
}

/// Loads the offer again when the user returns to the page, since pipelines may have changed, and when a due time has
/// passed.
fn keep_current(offer: RwSignal<StartOptions>, upcoming: RwSignal<Vec<UpcomingRun>>) {
    let refresh = move || {
        spawn_local(async move {
            if let Ok(now) = read_offer().await {
                accept(offer, upcoming, now);
            }
        });
    };
    Effect::new(move |_| refresh_on(&[PageEvent::Visible], refresh));
    let clock = Clock::from_context();
    // Not more often than the interval: if the browser's clock is ahead of the server's, the due time does not change
    // yet.
    Effect::new(move |refreshed: Option<Option<Timestamp>>| {
        let refreshed = refreshed.flatten();
        let is_recent = refreshed.and_then(|at| clock.since(at)).is_some_and(|since| since < DUE_REFRESH_INTERVAL_MS);
        let soonest = upcoming.with(|all| all.first().map(|first| first.next));
        if !is_recent && soonest.is_some_and(|next| clock.until(next) == Some(0)) {
            refresh();
            return clock.now();
        }
        refreshed
    });
}

/// Pipeline files with errors, and schedules and hooks that cannot start a run.
#[component]
fn PipelineErrors(offer: RwSignal<StartOptions>) -> impl IntoView {
    let faults = Memo::new(move |_| offer.with(|offer| offer.faults.clone()));
    let item = |fault: PipelineFileError| {
        view! {
            <li class="min-w-0">
                <p class="truncate font-mono text-xs font-medium">{format!("{}:{}", fault.file, fault.line)}</p>
                <p class="text-xs break-words text-soft"><TextWithCode text=fault.reason/></p>
            </li>
        }
    };
    view! {
        <Show when=move || !faults.with(Vec::is_empty)>
            <section class="mt-4 shrink-0 rounded-lg bg-warn-wash px-4 py-3" aria-labelledby="faults-title">
                <h2 id="faults-title" class="flex items-center gap-2 text-sm font-semibold text-warn">
                    {Icon::Warning.draw()}
                    "Pipeline errors"
                </h2>
                <ul class="mt-2 flex flex-col gap-2">{move || faults.get().into_iter().map(item).collect_view()}</ul>
            </section>
        </Show>
    }
}
