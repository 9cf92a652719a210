//! The instances that execute runs: labels, slots, and what each is running.

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;

use crate::base;
use crate::browser::PageEvent;
use crate::calls::workers::read_workers;
use crate::model::visible::plain;
use crate::model::workers::{InstanceRole, ShortageView, WorkerList, WorkerRun, WorkerState, WorkerView};
use crate::ui::components::icon::Icon;
use crate::ui::components::load_error::LoadError;
use crate::ui::components::time::Moment;
use crate::ui::format;
use crate::ui::refresh::refresh_while_visible;

const REFRESH_INTERVAL_MS: u64 = 3000;

/// The most slots that are drawn as segments.
const MAX_SEGMENTS: u32 = 32;

#[component]
pub fn WorkersPage() -> impl IntoView {
    let first = Resource::new_blocking(|| (), |()| read_workers());
    let retry = Callback::new(move |()| first.refetch());
    // Empty until the first response.
    let list = RwSignal::new(None::<WorkerList>);
    let refresh = move || {
        spawn_local(async move {
            if let Ok(now) = read_workers().await
                && list.try_with_untracked(|known| known.as_ref() != Some(&now)) == Some(true)
            {
                list.try_set(Some(now));
            }
        });
    };
    refresh_while_visible(REFRESH_INTERVAL_MS, &[PageEvent::Visible, PageEvent::Returned], refresh);
    let shown = move || {
        Suspend::new(async move {
            match first.await {
                Ok(found) => {
                    if list.with_untracked(Option::is_none) {
                        list.set(Some(found));
                    }
                    view! { <List list/> }.into_any()
                }
                Err(problem) => view! { <LoadError problem retry/> }.into_any(),
            }
        })
    };
    view! {
        <Title text="Workers"/>
        <div class="mx-auto flex w-full max-w-[72rem] flex-col gap-4 px-4 py-5 lg:px-6">
            <h1 class="text-lg font-semibold tracking-tight">"Workers"</h1>
            <Transition fallback=|| view! { <p class="text-sm text-faint">"Loading…"</p> }>{shown}</Transition>
        </div>
    }
}

#[component]
fn List(list: RwSignal<Option<WorkerList>>) -> impl IntoView {
    let shortages =
        Memo::new(move |_| list.with(|list| list.as_ref().map(|list| list.shortages.clone()).unwrap_or_default()));
    let has_none = Memo::new(move |_| {
        list.with(|list| list.as_ref().is_some_and(|list| list.workers.iter().all(|worker| worker.slots == 0)))
    });
    let row = move |worker: WorkerView| {
        let id = worker.id.clone();
        let now = Memo::new(move |_| {
            let found = list.with(|list| list.iter().flat_map(|list| &list.workers).find(|one| one.id == id).cloned());
            found.unwrap_or_else(|| worker.clone())
        });
        view! { <WorkerRow worker=now/> }
    };
    view! {
        <ul class="flex flex-col gap-2 empty:hidden">
            {move || shortages.get().into_iter().map(|shortage| view! { <ShortageNotice shortage/> }).collect_view()}
        </ul>
        <Show when=move || has_none.get()>
            <p class="text-sm text-soft" data-testid="no-workers">
                "No workers: this server serves pages only. Start one with "
                <code class="font-mono text-[0.92em]">"runtrail worker"</code>
                ", or this server with "
                <code class="font-mono text-[0.92em]">"--workers 1"</code>
                " or more."
            </p>
        </Show>
        <ul class="card divide-y divide-line">
            <For
                each=move || list.with(|list| list.iter().flat_map(|list| list.workers.clone()).collect::<Vec<_>>())
                key=|one| one.id.clone()
                children=row
            />
        </ul>
    }
}

#[component]
fn ShortageNotice(shortage: ShortageView) -> impl IntoView {
    let ShortageView { message, since, runs } = shortage;
    let text = format::sentence_start(&plain(&message));
    let waiting = if runs == 1 { "1 run waits".to_owned() } else { format!("{} wait", format::counted(runs, "run")) };
    view! {
        <li
            class="flex gap-2 rounded-lg bg-warn-wash px-3 py-2 text-sm [&>svg]:mt-0.5 [&>svg]:text-warn"
            data-testid="shortage"
        >
            {Icon::Warning.draw()}
            <p class="min-w-0 break-words">
                <strong class="font-semibold">{text}</strong>
                {format!(": {waiting} for one. Since ")}
                <Moment at=Signal::stored(Some(since))/>
            </p>
        </li>
    }
}

#[component]
fn WorkerRow(worker: Memo<WorkerView>) -> impl IntoView {
    let WorkerView { id, name, version, role, labels, projects, slots, is_this, .. } = worker.get_untracked();
    let state = Memo::new(move |_| worker.with(|worker| worker.state));
    let busy = Memo::new(move |_| worker.with(|worker| worker.busy));
    let free = Memo::new(move |_| worker.with(|worker| worker.free));
    let runs = Memo::new(move |_| worker.with(|worker| worker.runs.clone()));
    let seen = Memo::new(move |_| worker.with(|worker| Some(worker.last_seen_at)));
    let role = match role {
        InstanceRole::Worker => "Worker",
        InstanceRole::Serve if slots == 0 => "Pages only",
        InstanceRole::Serve => "Server",
    };
    let projects = projects.join(", ");
    view! {
        <li
            class="grid grid-cols-[minmax(0,1fr)_auto] gap-x-4 gap-y-2 px-4 py-3 text-sm md:grid-cols-[minmax(0,1fr)_12rem_7rem]"
            data-testid="worker"
            data-worker=name.clone()
            data-id=id
            data-state=move || state_word(state.get())
            data-slots=slots.to_string()
            data-busy=move || busy.get().to_string()
            data-free=move || free.get().to_string()
        >
            <div class="min-w-0">
                <p class="flex flex-wrap items-center gap-x-2 gap-y-1">
                    <span class="min-w-0 font-medium break-all">{plain(&name)}</span>
                    <StateTag state/>
                    {labels.into_iter().map(|label| view! { <span class="tag font-mono" data-testid="worker-label">{label.to_string()}</span> }).collect_view()}
                </p>
                <p class="text-xs break-words text-faint">
                    {format!("{role} · {version}")}
                    {is_this.then_some(" · this server")}
                    {(!projects.is_empty()).then(|| view! { " · " <span class="font-mono break-all">{plain(&projects)}</span> })}
                </p>
            </div>
            <div class="min-w-0 max-md:order-3 max-md:col-span-2">
                {(slots > 0).then(|| view! { <Slots slots busy free state/> })}
            </div>
            <div class="text-right text-xs whitespace-nowrap text-soft">
                <span class="sr-only">"Last seen "</span>
                <Moment at=seen/>
            </div>
            <ul class="col-span-full flex flex-wrap gap-x-4 gap-y-1 text-xs empty:hidden max-md:order-4">
                {move || runs.get().into_iter().map(|run| view! { <RunLink run/> }).collect_view()}
            </ul>
        </li>
    }
}

#[component]
fn RunLink(run: WorkerRun) -> impl IntoView {
    let WorkerRun { id, pipeline } = run;
    view! {
        <li class="min-w-0">
            <a
                href=base::path(&format!("/runs/{id}"))
                class="inline-flex min-w-0 items-baseline gap-1.5 underline-offset-2 hover:text-accent hover:underline"
                data-testid="worker-run"
            >
                <span class="truncate">{plain(&pipeline)}</span>
                <span class="font-mono text-faint">{id.short().to_owned()}</span>
            </a>
        </li>
    }
}

/// The slots, as a bar and in words.
#[component]
fn Slots(slots: u32, busy: Memo<u32>, free: Memo<u32>, state: Memo<WorkerState>) -> impl IntoView {
    let text = move || match state.get() {
        WorkerState::Live => format!("{} busy, {} free", busy.get(), free.get()),
        WorkerState::Draining | WorkerState::Lost => format!("{} busy", busy.get()),
    };
    let segment = move |at: u32| {
        view! { <span class="h-1.5 min-w-1 flex-1 rounded-full" class=("bg-info", move || at < busy.get()) class=("bg-line", move || at >= busy.get())></span> }
    };
    view! {
        <div class="flex max-w-64 gap-0.5" aria-hidden="true">
            {(0..slots.min(MAX_SEGMENTS)).map(segment).collect_view()}
        </div>
        <p class="pt-1 text-xs text-soft tabular-nums" data-testid="worker-slots">{text}</p>
    }
}

#[component]
fn StateTag(state: Memo<WorkerState>) -> impl IntoView {
    move || match state.get() {
        WorkerState::Live => None,
        WorkerState::Draining => Some(view! { <span class="tag" data-tone="warn">"Draining"</span> }),
        WorkerState::Lost => Some(view! { <span class="tag" data-tone="bad">"Lost"</span> }),
    }
}

const fn state_word(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Live => "live",
        WorkerState::Draining => "draining",
        WorkerState::Lost => "lost",
    }
}
