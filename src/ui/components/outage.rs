//! What every page says while the database does not take what is written. It goes away by itself.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::icon::Icon;
use crate::browser::{PageEvent, PageEvents, Timer, is_visible};
use crate::calls::read_database_health;
use crate::model::{DatabaseHealth, OutageKind};
use crate::ui::format;
use crate::ui::slot::Slot;

/// How often the server is asked while somebody looks, in milliseconds. It answers from memory.
const ASK_EVERY_MS: u64 = 4000;

/// The banner, if there is an outage.
#[component]
pub fn OutageBanner() -> impl IntoView {
    let first = Resource::new_blocking(|| (), |()| read_database_health());
    // What was heard since.
    let newer = RwSignal::new(None::<DatabaseHealth>);
    let ask = move || {
        spawn_local(async move {
            // That the server does not answer is said elsewhere.
            if let Ok(now) = read_database_health().await {
                newer.try_set(Some(now));
            }
        });
    };
    let timer = Slot::new();
    Effect::new(move |_| {
        timer.keep(Timer::every(ASK_EVERY_MS, move || {
            if is_visible() {
                ask();
            }
        }));
        let listening = PageEvents::listen(move |event| {
            if matches!(event, PageEvent::Visible | PageEvent::Returned) {
                ask();
            }
        });
        StoredValue::new_local(listening);
    });
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
    let (kind, words) = words(kind);
    view! {
        <div
            class="flex gap-2 bg-warn-wash px-4 py-2 text-sm text-ink lg:px-6 [&>svg]:mt-0.5 [&>svg]:text-warn"
            data-testid="outage"
            data-kind=kind
        >
            {Icon::Warning.draw()}
            <p class="min-w-0 break-words">
                <strong class="font-semibold" role="status">{words}</strong>
                " For "
                <span class="tabular-nums">{move || format::duration(seconds.get().saturating_mul(1000))}</span>
                " so far. Runs are waiting; nothing is lost."
            </p>
        </div>
    }
}

/// The word for programs, and the sentence.
const fn words(kind: OutageKind) -> (&'static str, &'static str) {
    match kind {
        OutageKind::Locked => ("locked", "Waiting for the database: another program has locked it."),
        OutageKind::Unavailable => ("unavailable", "Waiting for the database: it isn't responding."),
        OutageKind::DiskFull => ("disk_full", "The disk is full: log lines are held back until space is freed."),
    }
}
