//! The first page: the runs, and the form that starts one.

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

use crate::browser::{PageEvent, PageEvents};
use crate::calls::{list_runs, read_offer};
use crate::feed::{Connection, Settings};
use crate::model::{PipelineFileError, Role, StartOptions, Timestamp, UpcomingRun};
use crate::ui::account::can;
use crate::ui::clock::Clock;
use crate::ui::components::again::{Unanswered, ask_again};
use crate::ui::components::code::Words;
use crate::ui::components::database::DatabaseLine;
use crate::ui::components::icon::Icon;
use crate::ui::components::notice::ProblemNotice;
use crate::ui::components::refused::TriggerNotices;
use crate::ui::components::runs::{Filters, RunTable, filter_of};
use crate::ui::components::start::StartForm;
use crate::ui::components::upcoming::UpcomingCard;

/// When something was due, how long until it is looked at again whether there is something new, in milliseconds.
const LOOK_AGAIN: u64 = 3000;

/// The first page.
#[component]
pub fn HomePage() -> impl IntoView {
    let query = use_query_map();
    let filter = Memo::new(move |_| filter_of(&query.get()));
    let offered = Resource::new_blocking(|| (), |()| read_offer());
    // Those that the page begins with; the list itself asks for others when the filter changes, and has these until they come.
    let runs = Resource::new_blocking(|| (), move |()| list_runs(filter.get_untracked()));
    let offer = RwSignal::new(StartOptions::default());
    let upcoming = RwSignal::new(Vec::new());
    let link = RwSignal::new(Connection::new(Settings::default(), true).link());
    keep_current(offer, upcoming);
    let again = Callback::new(move |()| {
        offered.refetch();
        runs.refetch();
    });

    // All parts need the offer; whichever is rendered first takes it.
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
                Err(problem) => view! { <Unanswered problem again/> }.into_any(),
            }
        })
    };
    let form = move || {
        Suspend::new(async move {
            let answer = offered.await;
            take(&answer);
            let wanted = query.with_untracked(|query| query.get("pipeline"));
            match answer {
                Ok(_) => view! { <StartForm offer wanted link/> }.into_any(),
                // The list's place has the button.
                Err(problem) => {
                    if problem.retryable {
                        ask_again(again);
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
            // As high as the window at most, so that its end can be reached however long the list beside it is.
            <aside class="scrollbar-thin flex min-w-0 flex-col lg:sticky lg:top-17 lg:order-2 lg:max-h-[calc(100dvh-5.25rem)] lg:overflow-y-auto lg:pb-1">
                <details class="card fold shrink-0" class:hidden=!can(Role::Operator) id="start">
                    <summary class="flex list-none items-center justify-between px-4 py-3 text-sm font-semibold [&::-webkit-details-marker]:hidden">
                        "Start a run"
                        <span class="fold-mark text-faint transition-transform">{Icon::Fold.draw()}</span>
                    </summary>
                    <div class="px-4 pb-4 lg:pb-0">
                        <Transition fallback=|| view! { <p class="text-sm text-faint">"Loading…"</p> }>{form}</Transition>
                    </div>
                </details>
                <Faults offer/>
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

/// Takes what is offered now. Due times have a signal of their own: each that passes changes them, and nothing else.
fn accept(offer: RwSignal<StartOptions>, upcoming: RwSignal<Vec<UpcomingRun>>, mut now: StartOptions) {
    let next = std::mem::take(&mut now.upcoming);
    if upcoming.try_with_untracked(|known| *known != next) == Some(true) {
        upcoming.try_set(next);
    }
    if offer.try_with_untracked(|known| *known != now) == Some(true) {
        offer.try_set(now);
    }
}

/// Looks again at what can be started whenever somebody comes back to the page, since pipelines are read again when they
/// change, and when something was due.
fn keep_current(offer: RwSignal<StartOptions>, upcoming: RwSignal<Vec<UpcomingRun>>) {
    let look = move || {
        spawn_local(async move {
            if let Ok(now) = read_offer().await {
                accept(offer, upcoming, now);
            }
        });
    };
    Effect::new(move |_| {
        let listening = PageEvents::listen(move |event| {
            if event == PageEvent::Visible {
                look();
            }
        });
        StoredValue::new_local(listening);
    });
    let clock = Clock::of_page();
    // When it was looked at last: this browser's clock may be ahead of the server's, which then has nothing new.
    Effect::new(move |looked: Option<Option<Timestamp>>| {
        let looked = looked.flatten();
        let rests = looked.and_then(|at| clock.since(at)).is_some_and(|since| since < LOOK_AGAIN);
        let soonest = upcoming.with(|all| all.first().map(|first| first.next));
        if !rests && soonest.is_some_and(|next| clock.until(next) == Some(0)) {
            look();
            return clock.now();
        }
        looked
    });
}

/// The pipeline files that are refused, schedules and hooks that cannot start a run, and why.
#[component]
fn Faults(offer: RwSignal<StartOptions>) -> impl IntoView {
    let faults = Memo::new(move |_| offer.with(|offer| offer.faults.clone()));
    let item = |fault: PipelineFileError| {
        view! {
            <li class="min-w-0">
                <p class="truncate font-mono text-xs font-medium">{format!("{}:{}", fault.file, fault.line)}</p>
                <p class="text-xs break-words text-soft"><Words text=fault.reason/></p>
            </li>
        }
    };
    view! {
        <Show when=move || !faults.with(Vec::is_empty)>
            <section class="mt-4 shrink-0 rounded-lg bg-warn-wash px-4 py-3" aria-labelledby="faults-title">
                <h2 id="faults-title" class="flex items-center gap-2 text-sm font-semibold text-warn">
                    {Icon::Warning.draw()}
                    "Faults in pipeline files"
                </h2>
                <ul class="mt-2 flex flex-col gap-2">{move || faults.get().into_iter().map(item).collect_view()}</ul>
            </section>
        </Show>
    }
}
