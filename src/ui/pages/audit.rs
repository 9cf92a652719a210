//! The audit log, for admins. The address says which lines are shown, so that links work, and the form needs no script.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;
use leptos_router::params::ParamsMap;

use crate::base;
use crate::calls::access::read_audit;
use crate::feed::visible::plain;
use crate::model::audit::{AuditAction, AuditEntry, AuditFilter, AuditPage};
use crate::ui::components::again::Unanswered;
use crate::ui::components::time::Moment;

/// The page.
#[component]
pub fn AuditLogPage() -> impl IntoView {
    let query = use_query_map();
    let filter = Memo::new(move |_| query.with(filter_of));
    let answer = Resource::new_blocking(move || filter.get(), read_audit);
    let again = Callback::new(move |()| answer.refetch());
    let list = move || {
        Suspend::new(async move {
            match answer.await {
                Ok(page) => view! { <List page filter=filter.get_untracked()/> }.into_any(),
                Err(problem) => view! { <Unanswered problem again/> }.into_any(),
            }
        })
    };
    view! {
        <Title text="Audit log"/>
        <div class="mx-auto flex w-full max-w-[72rem] flex-col gap-4 px-4 py-5 lg:px-6">
            <div class="flex flex-wrap items-center gap-x-4 gap-y-2">
                <h1 class="text-lg font-semibold tracking-tight">"Audit log"</h1>
                <div class="min-w-0 sm:ml-auto">{move || view! { <Choose filter=filter.get()/> }}</div>
            </div>
            <Transition fallback=|| view! { <p class="text-sm text-faint">"Loading…"</p> }>{list}</Transition>
        </div>
    }
}

fn filter_of(query: &ParamsMap) -> AuditFilter {
    let take = |name: &str| query.get(name).filter(|value| !value.is_empty());
    AuditFilter {
        run: take("run").and_then(|id| id.parse().ok()),
        actor: take("actor"),
        action: take("action").and_then(|word| AuditAction::parse(&word)),
        limit: None,
        before: take("before").and_then(|place| place.parse().ok()),
    }
}

/// The form that says which lines are shown.
#[component]
fn Choose(filter: AuditFilter) -> impl IntoView {
    let options = AuditAction::ALL.map(|action| {
        let selected = filter.action == Some(action);
        view! { <option value=action.as_str() selected=selected>{action.label()}</option> }
    });
    view! {
        <form method="get" action=base::path("/audit") class="flex gap-2">
            <input class="field field-small min-w-0 sm:!w-40" name="actor" placeholder="Anybody" aria-label="Actor" autocomplete="off" value=filter.actor/>
            <select class="field field-small !w-auto min-w-0" name="action" aria-label="Action" autocomplete="off">
                <option value="">"Any action"</option>
                {options.into_iter().collect_view()}
            </select>
            <button class="button button-small !h-auto self-stretch" data-testid="audit-show">"Show"</button>
        </form>
    }
}

#[component]
fn List(page: AuditPage, filter: AuditFilter) -> impl IntoView {
    let AuditPage { entries, next } = page;
    let is_empty = entries.is_empty();
    let older = next.map(|next| {
        let mut params = ParamsMap::new();
        let named = [
            ("run", filter.run.map(String::from)),
            ("actor", filter.actor),
            ("action", filter.action.map(|action| action.as_str().to_owned())),
            ("before", Some(next.to_string())),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                params.insert(name, value);
            }
        }
        let href = base::path(&format!("/audit{}", params.to_query_string()));
        view! { <a href=href class="button button-small self-center" data-testid="audit-older">"Older"</a> }
    });
    view! {
        {is_empty.then(|| view! { <p class="text-sm text-soft">"Nothing was done yet."</p> })}
        <ul class="card divide-y divide-line empty:hidden">
            {entries.into_iter().map(|entry| view! { <Line entry/> }).collect_view()}
        </ul>
        {older}
    }
}

#[component]
fn Line(entry: AuditEntry) -> impl IntoView {
    let AuditEntry { at, actor, via, address, action, run, outcome, detail, .. } = entry;
    let is_done = outcome == "done";
    let how = match via.as_str() {
        "open" => "without a token",
        "session" => "logged in",
        "token" => "with a token",
        "proxy" => "through the proxy",
        "schedule" => "schedule",
        "hook" => "hook",
        _ => "unknown",
    };
    let from = address.map_or_else(|| how.to_owned(), |address| format!("{how}, from {address}"));
    view! {
        <li
            class="grid grid-cols-[minmax(0,1fr)_auto] gap-x-4 gap-y-0.5 px-4 py-2.5 text-sm sm:grid-cols-[11rem_minmax(0,1fr)_auto]"
            data-testid="audit-line"
            data-action=action.as_str()
        >
            <span class="font-medium" class=("text-bad", !is_done)>{action.label()}</span>
            <div class="min-w-0 max-sm:order-3 max-sm:col-span-2">
                <p class="break-words">
                    {plain(&actor)}
                    <span class="text-soft">{format!(" · {from}")}</span>
                    {run.map(|run| view! {
                        " "
                        <a href=base::path(&format!("/runs/{run}")) class="underline underline-offset-2 hover:text-accent">
                            {format!("Run {}", run.short())}
                        </a>
                    })}
                </p>
                <p class="text-xs break-words text-soft empty:hidden">
                    {(!is_done).then(|| format!("{outcome} "))} {detail.map(|detail| plain(&detail))}
                </p>
            </div>
            <span class="text-xs whitespace-nowrap text-soft"><Moment at=Signal::stored(Some(at))/></span>
        </li>
    }
}
