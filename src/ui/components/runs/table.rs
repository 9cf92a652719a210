//! The run list.

use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use leptos::web_sys::HtmlElement;

use super::row::RunRow;
use super::state::RunListState;
use crate::base;
use crate::feed::ConnectionState;
use crate::model::{ProblemCode, RunFilter, RunPage, StartOptions};
use crate::ui::components::connection::ConnectionChip;
use crate::ui::components::notice::{ProblemNotice, for_action};
use crate::ui::components::queue::LiveQueue;
use crate::ui::format;

/// The runs, newest first, list.
#[component]
pub fn RunTable(
    filter: Memo<RunFilter>,
    /// The runs that the server rendered.
    page: RunPage,
    /// For the titles of the pipelines.
    offer: RwSignal<StartOptions>,
    /// Set to the state of the connection.
    link: RwSignal<ConnectionState>,
) -> impl IntoView {
    let list = RunListState::new(filter.get_untracked(), page, link);
    #[cfg(feature = "hydrate")]
    Effect::new(move |_| super::updates::begin(list));
    Effect::new(move |_| list.set_filter(filter.get()));
    let is_filtered =
        Memo::new(move |_| list.shown.with(|shown| *shown != RunFilter { limit: shown.limit, ..RunFilter::default() }));
    let is_behind = Memo::new(move |_| list.problem.with(Option::is_some) && list.wanted.get() != list.shown.get());
    // The connection chip already reports a server that does not answer.
    let problem = move || list.problem.get().filter(|problem| problem.code != ProblemCode::Unreachable);
    let queue = LiveQueue::new();
    Effect::new(move |_| queue.begin());
    let is_empty = Memo::new(move |_| list.rows.with(Vec::is_empty));
    view! {
        {move || problem().map(|problem| view! { <ProblemNotice problem/> })}
        <div class="-mb-1 flex items-center justify-between gap-3 text-xs text-faint">
            <p class="min-w-0 truncate tabular-nums">
                {move || counted(list.rows.with(Vec::len), list.next.get().is_some())}
                {move || is_behind.get().then_some(" · waiting for the server")}
            </p>
            <span class="-mr-2"><ConnectionChip link=list.link role=list.role/></span>
        </div>
        <div class="card overflow-hidden">
            <Show when=move || is_empty.get()>
                {move || if is_filtered.get() {
                    view! {
                        <div class="flex flex-col items-center px-6 py-16 text-center text-sm text-soft">
                            <p>
                                {move || match list.next.get() {
                                    // The server searches a limited number of runs per request.
                                    Some(_) => "No matches among the latest runs. Load more to search older ones.",
                                    None => "No runs match.",
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
                <For each=move || list.rows.get() key=|run| run.with_untracked(|run| run.id.clone()) let:run>
                    <RunRow run offer queue/>
                </For>
            </ul>
        </div>
        {move || list.next.get().map(|next| {
            let address = list.shown.with(|shown| address(shown, &next));
            view! {
                <div class="flex flex-col items-center gap-2">
                    {move || list.load_more_problem.get().map(|problem| {
                        view! { <p class="text-xs text-bad" role="alert">{problem.title.clone()}". "{for_action(problem, LOAD_MORE_ADVICE).detail}</p> }
                    })}
                    <a
                        class="button button-small"
                        href=address
                        rel="external"
                        on:click=move |event| {
                            event.prevent_default();
                            list.load_more();
                        }
                    >
                        {move || if list.is_loading.get() { "Loading…" } else { "Load more" }}
                    </a>
                </div>
            }
        })}
    }
}

/// The advice if older runs could not be loaded.
const LOAD_MORE_ADVICE: &str = "Try again.";

fn counted(shown: usize, has_more: bool) -> String {
    let counted = format::counted(shown as u64, "run");
    if has_more { format!("Latest {counted}") } else { counted }
}

/// The address of the next page, for use without JavaScript.
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

/// The empty list of a new server.
#[component]
fn Welcome() -> impl IntoView {
    let open_form = |_| {
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
                "Pick a pipeline to start your first run. You can follow it live here."
            </p>
            <button type="button" class="button button-primary mt-5 noscript:hidden" on:click=open_form>
                "New run"
            </button>
        </div>
    }
}
