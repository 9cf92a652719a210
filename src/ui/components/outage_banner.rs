//! The banner on every page while the database does not accept writes.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::icon::Icon;
use crate::browser::PageEvent;
use crate::calls::read_database_health;
use crate::model::{DatabaseHealth, OutageKind};
use crate::ui::format;
use crate::ui::refresh::refresh_while_visible;

/// Short, since the server answers from memory.
const REFRESH_INTERVAL_MS: u64 = 4000;

#[component]
pub fn OutageBanner() -> impl IntoView {
    let first = Resource::new_blocking(|| (), |()| read_database_health());
    let newer = RwSignal::new(None::<DatabaseHealth>);
    let refresh = move || {
        spawn_local(async move {
            // The connection chip reports a server that does not answer.
            if let Ok(now) = read_database_health().await {
                newer.try_set(Some(now));
            }
        });
    };
    refresh_while_visible(REFRESH_INTERVAL_MS, &[PageEvent::Visible, PageEvent::Returned], refresh);
    let banner = move || {
        Suspend::new(async move {
            let first = first.await.ok().and_then(|health| health.outage);
            let outage = move || newer.get().map_or(first, |health| health.outage);
            let kind = Memo::new(move |_| outage().map(|outage| outage.kind));
            let seconds = Memo::new(move |_| outage().map_or(0, |outage| outage.seconds));
            move || kind.get().map(|kind| view! { <Notice kind seconds/> })
        })
    };
    view! { <Transition>{banner}</Transition> }
}

#[component]
fn Notice(kind: OutageKind, seconds: Memo<u64>) -> impl IntoView {
    let (kind, text) = describe(kind);
    view! {
        <div
            class="flex gap-2 bg-warn-wash px-4 py-2 text-sm text-ink lg:px-6 [&>svg]:mt-0.5 [&>svg]:text-warn"
            data-testid="outage"
            data-kind=kind
        >
            {Icon::Warning.draw()}
            <p class="min-w-0 break-words">
                <strong class="font-semibold" role="status">{text}</strong>
                " For "
                <span class="tabular-nums">{move || format::duration(seconds.get().saturating_mul(1000))}</span>
                " so far. Runs are waiting; nothing is lost."
            </p>
        </div>
    }
}

/// The `data-kind` attribute and the text.
const fn describe(kind: OutageKind) -> (&'static str, &'static str) {
    match kind {
        OutageKind::Locked => ("locked", "Waiting for the database: another program has locked it."),
        OutageKind::Unavailable => ("unavailable", "Waiting for the database: it isn't responding."),
        OutageKind::DiskFull => ("disk_full", "The disk is full: log lines are held back until space is freed."),
    }
}
