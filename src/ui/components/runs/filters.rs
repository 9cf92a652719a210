//! Which runs are shown. The address has it, so that links and the back button work.

use leptos::html;
use leptos::prelude::*;
use leptos::web_sys::FormData;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;
use leptos_router::params::ParamsMap;

use crate::base;
use crate::browser::Timer;
use crate::feed::visible::plain;
use crate::model::{RunFilter, StartOptions, Status};
use crate::ui::components::icon::Icon;
use crate::ui::components::status;
use crate::ui::slot::Slot;

/// The filter that an address asks for. What is no filter does not narrow.
pub fn filter_of(query: &ParamsMap) -> RunFilter {
    let text = |name| query.get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    RunFilter {
        status: text("status").and_then(|status| status.parse().ok()),
        pipeline: text("pipeline"),
        q: text("q"),
        limit: None,
        before: text("before"),
    }
}

/// The filter as an address.
fn address(data: &FormData) -> String {
    let params: ParamsMap = ["q", "status", "pipeline"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), data.get(name).as_string()?)))
        .filter(|(_, value)| !value.trim().is_empty())
        .collect();
    base::path(&format!("/{}", params.to_query_string()))
}

/// The filters: a plain form, which scripts send by themselves.
#[component]
pub fn Filters(
    /// What is chosen.
    filter: Memo<RunFilter>,
    /// The pipelines there are.
    offer: RwSignal<StartOptions>,
) -> impl IntoView {
    let form = NodeRef::<html::Form>::new();
    let navigate = use_navigate();
    let go = move || {
        let data = form.get_untracked().and_then(|form| FormData::new_with_form(&form).ok());
        if let Some(data) = data {
            navigate(
                &address(&data),
                NavigateOptions { resolve: false, replace: true, scroll: false, ..NavigateOptions::default() },
            );
        }
    };
    // The address may change by itself: back, forward, a link.
    let search = NodeRef::<html::Input>::new();
    Effect::new(move |_| {
        let wanted = filter.with(|filter| filter.q.clone()).unwrap_or_default();
        if let Some(search) = search.get()
            && search.value().trim() != wanted
        {
            search.set_value(&wanted);
        }
    });
    let soon = Slot::new();
    let typed = {
        let go = go.clone();
        move |_| {
            let go = go.clone();
            soon.keep(Timer::after(180, go));
        }
    };
    let chosen = {
        let go = go.clone();
        move |_| go()
    };
    let chosen_again = chosen.clone();
    let statuses = Status::ALL.map(|each| {
        let selected = move || filter.with(|filter| filter.status == Some(each));
        view! { <option value=each.as_str() selected=selected prop:selected=selected>{status::word(each)}</option> }
    });
    view! {
        <form
            method="get"
            action=base::path("/")
            role="search"
            aria-label="Runs"
            class="flex flex-wrap items-center gap-2"
            node_ref=form
            on:submit=move |event| {
                event.prevent_default();
                go();
            }
        >
            <div class="relative min-w-0 flex-1 basis-full sm:basis-40">
                <span class="pointer-events-none absolute top-1/2 left-2.5 -translate-y-1/2 text-faint">
                    {Icon::Search.draw()}
                </span>
                <input
                    type="search"
                    name="q"
                    class="field field-small !pl-8"
                    placeholder="Search runs"
                    aria-label="Search runs by id, pipeline or parameter"
                    autocomplete="off"
                    value=filter.with_untracked(|filter| filter.q.clone())
                    node_ref=search
                    on:input=typed
                />
            </div>
            <select name="status" class="field field-small flex-1 sm:!w-auto sm:flex-none" aria-label="Status" on:change=chosen>
                <option value="">"Any status"</option>
                {statuses}
            </select>
            <select name="pipeline" class="field field-small flex-1 sm:!w-auto sm:max-w-44 sm:flex-none" aria-label="Pipeline" on:change=chosen_again>
                <option value="">"Any pipeline"</option>
                <For each=move || offer.get().pipelines key=|pipeline| pipeline.name.clone() let:pipeline>
                    {
                        let name = pipeline.name.clone();
                        let selected = move || filter.with(|filter| filter.pipeline.as_ref() == Some(&name));
                        view! {
                            <option value=pipeline.name.clone() selected=selected.clone() prop:selected=selected>
                                {plain(&pipeline.title)}
                            </option>
                        }
                    }
                </For>
            </select>
            <button class="button button-small hidden noscript:inline-flex">"Show"</button>
        </form>
    }
}
