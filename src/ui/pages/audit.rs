//! The audit log, for admins.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use leptos_router::params::ParamsMap;

use crate::base;
use crate::calls::access::read_audit;
use crate::model::audit::{AuditAction, AuditEntry, AuditFilter, AuditPage};
use crate::model::visible::plain;
use crate::ui::components::load_error::LoadError;
use crate::ui::components::record_list::{RecordFilter, RecordPage, Records, query_address, query_value};
use crate::ui::components::time::Moment;

#[component]
pub fn AuditLogPage() -> impl IntoView {
    let query = use_query_map();
    let filter = Memo::new(move |_| query.with(filter_from_query));
    let entries = Resource::new_blocking(move || filter.get(), read_audit);
    let retry = Callback::new(move |()| entries.refetch());
    let list = move || {
        Suspend::new(async move {
            match entries.await {
                Ok(page) => view! { <Entries page filter=filter.get_untracked()/> }.into_any(),
                Err(problem) => view! { <LoadError problem retry/> }.into_any(),
            }
        })
    };
    view! {
        <RecordPage title="Audit log" filters=move || view! { <Filters filter=filter.get()/> }>
            <Transition fallback=|| view! { <p class="text-sm text-faint">"Loading…"</p> }>{list}</Transition>
        </RecordPage>
    }
}

fn filter_from_query(query: &ParamsMap) -> AuditFilter {
    let value = |name| query_value(query, name);
    AuditFilter {
        run: value("run").and_then(|id| id.parse().ok()),
        actor: value("actor"),
        action: value("action").and_then(|word| AuditAction::parse(&word)),
        limit: None,
        before: value("before").and_then(|id| id.parse().ok()),
    }
}

#[component]
fn Filters(filter: AuditFilter) -> impl IntoView {
    let options = AuditAction::ALL.map(|action| (action.as_str(), action.label(), filter.action == Some(action)));
    view! {
        <RecordFilter
            path="/audit"
            text=("actor", "Actor", "Any actor")
            text_value=filter.actor
            choice=("action", "Action", "Any action")
            options=options.to_vec()
            test_id="audit-show"
        />
    }
}

#[component]
fn Entries(page: AuditPage, filter: AuditFilter) -> impl IntoView {
    let AuditPage { entries, next } = page;
    let older = next.map(|next| {
        let values = [
            ("run", filter.run.map(String::from)),
            ("actor", filter.actor),
            ("action", filter.action.map(|action| action.as_str().to_owned())),
            ("before", Some(next.to_string())),
        ];
        query_address("/audit", values)
    });
    let rows = entries.into_iter().map(|entry| view! { <Entry entry/> }.into_any()).collect();
    view! { <Records rows empty="No entries." older test_id="audit-older"/> }
}

#[component]
fn Entry(entry: AuditEntry) -> impl IntoView {
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
    let source = address.map_or_else(|| how.to_owned(), |address| format!("{how}, from {address}"));
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
                    <span class="text-soft">{format!(" · {source}")}</span>
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
