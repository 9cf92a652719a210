//! The deliveries of webhooks and their results.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use leptos_router::params::ParamsMap;

use crate::base;
use crate::calls::triggers::list_deliveries;
use crate::model::trigger::{DeliveryFilter, DeliveryPage, DeliveryResult, HookDelivery};
use crate::ui::components::icon::Icon;
use crate::ui::components::load_error::LoadError;
use crate::ui::components::record_list::{RecordFilter, RecordPage, Records, query_address, query_value};
use crate::ui::components::text_with_code::TextWithCode;
use crate::ui::components::time::Moment;
use crate::ui::format;
use crate::ui::refresh::refresh_while_visible;

const REFRESH_INTERVAL_MS: u64 = 15_000;

#[component]
pub fn DeliveriesPage() -> impl IntoView {
    let query = use_query_map();
    let filter = Memo::new(move |_| query.with(filter_from_query));
    let deliveries = Resource::new_blocking(move || filter.get(), list_deliveries);
    let retry = Callback::new(move |()| deliveries.refetch());
    refresh_while_visible(REFRESH_INTERVAL_MS, &[], move || {
        // Older pages do not change.
        if filter.with_untracked(|filter| filter.before.is_none()) {
            deliveries.refetch();
        }
    });
    let list = move || {
        Suspend::new(async move {
            match deliveries.await {
                Ok(page) => view! { <Deliveries page filter=filter.get_untracked()/> }.into_any(),
                Err(problem) => view! { <LoadError problem retry/> }.into_any(),
            }
        })
    };
    view! {
        <RecordPage title="Deliveries" filters=move || view! { <Filters filter=filter.get()/> }>
            <Transition fallback=|| view! { <p class="text-sm text-faint">"Loading…"</p> }>{list}</Transition>
        </RecordPage>
    }
}

fn filter_from_query(query: &ParamsMap) -> DeliveryFilter {
    let value = |name| query_value(query, name);
    DeliveryFilter {
        pipeline: value("pipeline"),
        result: value("result").and_then(|word| DeliveryResult::parse(&word)),
        limit: None,
        before: value("before"),
    }
}

const fn label(result: DeliveryResult) -> &'static str {
    match result {
        DeliveryResult::Started => "Started",
        DeliveryResult::Duplicate => "Duplicate",
        DeliveryResult::Ignored => "Ignored",
        DeliveryResult::Refused => "Refused",
    }
}

const fn color_and_icon(result: DeliveryResult) -> (&'static str, Icon) {
    match result {
        DeliveryResult::Started => ("text-ok", Icon::Done),
        DeliveryResult::Duplicate => ("text-soft", Icon::Rerun),
        DeliveryResult::Ignored => ("text-soft", Icon::Skipped),
        DeliveryResult::Refused => ("text-bad", Icon::Failed),
    }
}

#[component]
fn Filters(filter: DeliveryFilter) -> impl IntoView {
    let options = DeliveryResult::ALL.map(|result| (result.as_str(), label(result), filter.result == Some(result)));
    view! {
        <RecordFilter
            path="/deliveries"
            text=("pipeline", "Pipeline", "Any pipeline")
            text_value=filter.pipeline
            choice=("result", "Result", "Any result")
            options=options.to_vec()
            test_id="deliveries-show"
        />
    }
}

#[component]
fn Deliveries(page: DeliveryPage, filter: DeliveryFilter) -> impl IntoView {
    let DeliveryPage { deliveries, next } = page;
    let older = next.map(|next| {
        let result = filter.result.map(|result| result.as_str().to_owned());
        query_address("/deliveries", [("pipeline", filter.pipeline), ("result", result), ("before", Some(next))])
    });
    let rows = deliveries.into_iter().map(|delivery| view! { <Delivery delivery/> }.into_any()).collect();
    let empty = "No deliveries. The latest 2,000 are kept for up to 30 days.";
    view! { <Records rows empty older test_id="deliveries-older"/> }
}

/// The proper name of a forge.
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
fn Delivery(delivery: HookDelivery) -> impl IntoView {
    let HookDelivery { at, calls, pipeline, forge, event, delivery: id, result, code, reason, run, .. } = delivery;
    let (color, icon) = color_and_icon(result);
    let source = [Some(forge_name(forge)), event].into_iter().flatten().collect::<Vec<_>>().join(" · ");
    view! {
        <li
            class="grid grid-cols-[minmax(0,1fr)_auto] gap-x-4 gap-y-1 px-4 py-2.5 text-sm sm:grid-cols-[7.5rem_minmax(0,1fr)_auto]"
            data-testid="delivery"
            data-result=result.as_str()
            data-pipeline=pipeline.clone()
        >
            <span class=format!("flex items-center gap-1.5 self-start font-medium {color}")>
                {icon.draw()}
                {label(result)}
                {(calls > 1).then(|| view! { <span class="tag">{format!("×{}", format::count(calls))}</span> })}
            </span>
            <div class="min-w-0 max-sm:order-3 max-sm:col-span-2">
                <p class="break-words">
                    <span class="font-mono text-xs">{pipeline.clone()}</span>
                    <span class="text-soft">{format!(" · {source}")}</span>
                    {run.map(|run| view! {
                        " "
                        <a href=base::path(&format!("/runs/{run}")) class="underline underline-offset-2 hover:text-accent">
                            {format!("Run {}", run.short())}
                        </a>
                    })}
                </p>
                <p class="text-xs break-words text-soft empty:hidden">{reason.map(|reason| view! { <TextWithCode text=reason/> })}</p>
                <p class="truncate font-mono text-2xs text-faint empty:hidden" title="Delivery ID">{id}</p>
            </div>
            <span class="text-xs whitespace-nowrap text-soft" title=code><Moment at=Signal::stored(Some(at))/></span>
        </li>
    }
}
