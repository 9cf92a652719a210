//! The list itself.

use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use leptos::web_sys::HtmlElement;

use super::live::LiveRuns;
use super::row::RunRow;
use crate::base;
use crate::feed::Link;
use crate::model::{ProblemCode, RunFilter, RunPage, StartOptions};
use crate::ui::components::connection::ConnectionChip;
use crate::ui::components::notice::{ProblemNotice, of_action};
use crate::ui::components::queue::LiveQueue;
use crate::ui::format;

/// The runs, newest first, kept up to date.
#[component]
pub fn RunTable(
    /// Which runs are wanted.
    filter: Memo<RunFilter>,
    /// What the server has found.
    page: RunPage,
    /// The pipelines, for their titles.
    offer: RwSignal<StartOptions>,
    /// Kept to how the list is connected.
    link: RwSignal<Link>,
) -> impl IntoView {
    let live = LiveRuns::new(filter.get_untracked(), page, link);
    Effect::new(move |_| live.begin());
    Effect::new(move |_| live.want(filter.get()));
    let narrowed =
        Memo::new(move |_| live.shown.with(|shown| *shown != RunFilter { limit: shown.limit, ..RunFilter::default() }));
    let lags = Memo::new(move |_| live.problem.with(Option::is_some) && live.wanted.get() != live.shown.get());
    // That the server is away the chip says already.
    let problem = move || live.problem.get().filter(|problem| problem.code != ProblemCode::Unreachable);
    let queue = LiveQueue::new();
    Effect::new(move |_| queue.begin());
    let empty = Memo::new(move |_| live.rows.with(Vec::is_empty));
    view! {
        {move || problem().map(|problem| view! { <ProblemNotice problem/> })}
        <div class="-mb-1 flex items-center justify-between gap-3 text-xs text-faint">
            <p class="min-w-0 truncate tabular-nums">
                {move || counted(live.rows.with(Vec::len), live.next.get().is_some())}
                {move || lags.get().then_some(" · what you chose waits for the server")}
            </p>
            <span class="-mr-2"><ConnectionChip link=live.link role=live.role/></span>
        </div>
        <div class="card overflow-hidden">
            <Show when=move || empty.get()>
                {move || if narrowed.get() {
                    view! {
                        <div class="flex flex-col items-center px-6 py-16 text-center text-sm text-soft">
                            <p>
                                {move || match live.next.get() {
                                    // A search looks through so many runs at a time.
                                    Some(_) => "None of the newest runs matches these filters. Load more to search older ones.",
                                    None => "No run matches these filters.",
                                }}
                            </p>
                            <a href=base::path("/") data-noscroll class="button mt-4">"Clear filters"</a>
                        </div>
                    }
                        .into_any()
                } else {
                    view! { <Welcome/> }.into_any()
                }}
            </Show>
            <ul>
                <For each=move || live.rows.get() key=|run| run.with_untracked(|run| run.id.clone()) let:run>
                    <RunRow run offer queue/>
                </For>
            </ul>
        </div>
        {move || live.next.get().map(|next| {
            let address = live.shown.with(|shown| address(shown, &next));
            view! {
                <div class="flex flex-col items-center gap-2">
                    {move || live.no_more.get().map(|problem| {
                        view! { <p class="text-xs text-bad" role="alert">{problem.title.clone()}". "{of_action(problem, MORE).detail}</p> }
                    })}
                    <a
                        class="button button-small"
                        href=address
                        rel="external"
                        on:click=move |event| {
                            event.prevent_default();
                            live.load_more();
                        }
                    >
                        {move || if live.loading.get() { "Loading…" } else { "Load more" }}
                    </a>
                </div>
            }
        })}
    }
}

/// What is said where older runs could not be fetched.
const MORE: &str = "Press again.";

/// How many runs are shown, and whether there are more.
fn counted(shown: usize, more: bool) -> String {
    let counted = format::counted(shown as u64, "run");
    if more { format!("The newest {counted}") } else { counted }
}

/// Where older runs are, for who has no scripts.
fn address(filter: &RunFilter, before: &str) -> String {
    let mut params = leptos_router::params::ParamsMap::new();
    let status = filter.status.map(|status| status.to_string());
    let pairs = [("status", &status), ("pipeline", &filter.pipeline), ("q", &filter.q)];
    for (name, value) in pairs {
        if let Some(value) = value {
            params.insert(name, value.clone());
        }
    }
    params.insert("before", before.to_owned());
    base::path(&format!("/{}", params.to_query_string()))
}

/// What is shown before there is any run.
#[component]
fn Welcome() -> impl IntoView {
    let lead = |_| {
        if let Some(fold) = document().get_element_by_id("start") {
            let _ = fold.set_attribute("open", "");
        }
        let field = document().get_element_by_id("pipeline").and_then(|field| field.dyn_into::<HtmlElement>().ok());
        if let Some(field) = field {
            let _ = field.focus();
        }
    };
    view! {
        <div class="flex flex-col items-center px-6 py-20 text-center">
            <svg class="mb-5 h-10 w-40 text-edge" viewBox="0 0 160 40" fill="none" aria-hidden="true">
                <path
                    d="M2 28h36l14-22 16 30 12-18 8 10h70"
                    stroke="currentColor"
                    stroke-width="2"
                    stroke-linecap="round"
                    stroke-linejoin="round"
                ></path>
                <circle class="text-accent" cx="158" cy="28" r="2" fill="currentColor"></circle>
            </svg>
            <h2 class="text-base font-semibold">"No runs yet"</h2>
            <p class="mt-1 max-w-sm text-sm text-soft">
                "Choose a pipeline and start it. Its activity appears here as it happens, in every tab that looks."
            </p>
            <button type="button" class="button button-primary mt-5 noscript:hidden" on:click=lead>
                "Start the first run"
            </button>
        </div>
    }
}
