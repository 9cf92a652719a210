//! What became of the calls of hooks. The address says which are shown, so that links work, and the form needs no script.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use leptos_router::params::ParamsMap;

use crate::base;
use crate::browser::{Timer, is_visible};
use crate::calls::triggers::list_deliveries;
use crate::model::trigger::{DeliveryFilter, DeliveryPage, DeliveryResult, HookDelivery};
use crate::ui::components::again::Unanswered;
use crate::ui::components::code::Words;
use crate::ui::components::icon::Icon;
use crate::ui::components::time::Moment;
use crate::ui::format;
use crate::ui::slot::Slot;

/// How often it is looked at again, in milliseconds.
const AGAIN_MS: u64 = 15_000;

/// The page.
#[component]
pub fn DeliveriesPage() -> impl IntoView {
    let query = use_query_map();
    let filter = Memo::new(move |_| query.with(filter_of));
    let answer = Resource::new_blocking(move || filter.get(), list_deliveries);
    let again = Callback::new(move |()| answer.refetch());
    let timer = Slot::new();
    Effect::new(move |_| {
        timer.keep(Timer::every(AGAIN_MS, move || {
            // Older pages do not change.
            if is_visible() && filter.with_untracked(|filter| filter.before.is_none()) {
                answer.refetch();
            }
        }));
    });
    let list = move || {
        Suspend::new(async move {
            match answer.await {
                Ok(page) => view! { <List page filter=filter.get_untracked()/> }.into_any(),
                Err(problem) => view! { <Unanswered problem again/> }.into_any(),
            }
        })
    };
    view! {
        <Title text="Deliveries"/>
        <div class="mx-auto flex w-full max-w-[72rem] flex-col gap-4 px-4 py-5 lg:px-6">
            <div class="flex flex-wrap items-center gap-x-4 gap-y-2">
                <h1 class="text-lg font-semibold tracking-tight">"Deliveries"</h1>
                <div class="min-w-0 sm:ml-auto">{move || view! { <Choose filter=filter.get()/> }}</div>
            </div>
            <Transition fallback=|| view! { <p class="text-sm text-faint">"Loading…"</p> }>{list}</Transition>
        </div>
    }
}

fn filter_of(query: &ParamsMap) -> DeliveryFilter {
    let take = |name: &str| query.get(name).filter(|value| !value.is_empty());
    DeliveryFilter {
        pipeline: take("pipeline"),
        result: take("result").and_then(|word| DeliveryResult::parse(&word)),
        limit: None,
        before: take("before"),
    }
}

const fn word(result: DeliveryResult) -> &'static str {
    match result {
        DeliveryResult::Started => "Started",
        DeliveryResult::Duplicate => "Came again",
        DeliveryResult::Ignored => "Ignored",
        DeliveryResult::Refused => "Refused",
    }
}

const fn look(result: DeliveryResult) -> (&'static str, Icon) {
    match result {
        DeliveryResult::Started => ("text-ok", Icon::Done),
        DeliveryResult::Duplicate => ("text-soft", Icon::Again),
        DeliveryResult::Ignored => ("text-soft", Icon::Skipped),
        DeliveryResult::Refused => ("text-bad", Icon::Failed),
    }
}

/// The form that says which deliveries are shown.
#[component]
fn Choose(filter: DeliveryFilter) -> impl IntoView {
    let options = DeliveryResult::ALL.map(|result| {
        let selected = filter.result == Some(result);
        view! { <option value=result.as_str() selected=selected>{word(result)}</option> }
    });
    view! {
        <form method="get" action=base::path("/deliveries") class="flex gap-2">
            <input
                class="field field-small min-w-0 sm:!w-40"
                name="pipeline"
                placeholder="Any pipeline"
                aria-label="Pipeline"
                autocomplete="off"
                value=filter.pipeline
            />
            <select class="field field-small !w-auto" name="result" aria-label="Result" autocomplete="off">
                <option value="">"Any result"</option>
                {options.into_iter().collect_view()}
            </select>
            <button class="button button-small !h-auto self-stretch" data-testid="deliveries-show">"Show"</button>
        </form>
    }
}

#[component]
fn List(page: DeliveryPage, filter: DeliveryFilter) -> impl IntoView {
    let DeliveryPage { deliveries, next } = page;
    let is_empty = deliveries.is_empty();
    let older = next.map(|next| {
        let mut params = ParamsMap::new();
        if let Some(pipeline) = filter.pipeline {
            params.insert("pipeline", pipeline);
        }
        if let Some(result) = filter.result {
            params.insert("result", result.as_str().to_owned());
        }
        params.insert("before", next);
        let href = base::path(&format!("/deliveries{}", params.to_query_string()));
        view! { <a href=href class="button button-small self-center" data-testid="deliveries-older">"Older"</a> }
    });
    view! {
        {is_empty.then(|| view! {
            <p class="text-sm text-soft">"No delivery is here. Deliveries are kept for 30 days, the newest 2,000 of them."</p>
        })}
        <ul class="card divide-y divide-line empty:hidden">
            {deliveries.into_iter().map(|delivery| view! { <Row delivery/> }).collect_view()}
        </ul>
        {older}
    }
}

/// A forge as it calls itself.
fn forge_name(forge: String) -> String {
    match forge.as_str() {
        "github" => "GitHub".to_owned(),
        "gitlab" => "GitLab".to_owned(),
        "gitea" => "Gitea".to_owned(),
        "forgejo" => "Forgejo".to_owned(),
        "bitbucket" => "Bitbucket".to_owned(),
        _ => forge,
    }
}

#[component]
fn Row(delivery: HookDelivery) -> impl IntoView {
    let HookDelivery { at, calls, pipeline, forge, event, delivery: id, result, code, reason, run, .. } = delivery;
    let (colour, icon) = look(result);
    let named = [Some(forge_name(forge)), event].into_iter().flatten().collect::<Vec<_>>().join(" · ");
    view! {
        <li
            class="grid grid-cols-[minmax(0,1fr)_auto] gap-x-4 gap-y-1 px-4 py-2.5 text-sm sm:grid-cols-[7.5rem_minmax(0,1fr)_auto]"
            data-testid="delivery"
            data-result=result.as_str()
            data-pipeline=pipeline.clone()
        >
            <span class=format!("flex items-center gap-1.5 self-start font-medium {colour}")>
                {icon.draw()}
                {word(result)}
                {(calls > 1).then(|| view! { <span class="tag">{format!("×{}", format::count(calls))}</span> })}
            </span>
            <div class="min-w-0 max-sm:order-3 max-sm:col-span-2">
                <p class="break-words">
                    <span class="font-mono text-xs">{pipeline.clone()}</span>
                    <span class="text-soft">{format!(" · {named}")}</span>
                    {run.map(|run| view! {
                        " "
                        <a href=base::path(&format!("/runs/{run}")) class="underline underline-offset-2 hover:text-accent">
                            {format!("Run {}", run.short())}
                        </a>
                    })}
                </p>
                <p class="text-xs break-words text-soft empty:hidden">{reason.map(|reason| view! { <Words text=reason/> })}</p>
                <p class="truncate font-mono text-2xs text-faint empty:hidden" title="The forge's id of the delivery">{id}</p>
            </div>
            <span class="text-xs whitespace-nowrap text-soft" title=code><Moment at=Signal::stored(Some(at))/></span>
        </li>
    }
}
