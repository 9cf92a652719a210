//! The queue position of a run, live.

use leptos::prelude::*;

use super::LiveQueue;
use crate::base;
use crate::model::placement::Shortage;
use crate::model::queue::QueuedRun;
use crate::model::visible::plain;
use crate::model::{RunId, Status, Timestamp};
use crate::ui::clock::Clock;
use crate::ui::components::icon::Icon;
use crate::ui::format;

/// The position of a single run while it is pending, or what is missing for it to be taken, with a queue of its own.
#[component]
pub fn PendingQueuePosition(id: RunId, status: Memo<Status>) -> impl IntoView {
    move || {
        let queue = (status.get() == Status::Pending).then(LiveQueue::new)?;
        Effect::new(move |_| queue.begin());
        let id = id.clone();
        let is_short = {
            let id = id.clone();
            Memo::new(move |_| queue.entry(&id).is_some_and(|entry| entry.waiting_for.is_some()))
        };
        Some(move || match is_short.get() {
            true => view! { <MissingWorker id=id.clone() queue/> }.into_any(),
            false => view! { <QueuePosition id=id.clone() queue/> }.into_any(),
        })
    }
}

/// What is missing for a pending run to be taken: `No worker with label gpu since 10:02`. Nothing if nothing is.
#[component]
pub fn MissingWorker(id: RunId, queue: LiveQueue) -> impl IntoView {
    let shortage = Memo::new(move |_| queue.entry(&id).and_then(|entry| entry.waiting_for));
    move || shortage.get().map(|shortage| view! { <ShortageText shortage/> })
}

#[component]
fn ShortageText(shortage: Shortage) -> impl IntoView {
    let clock = Clock::from_context();
    let Shortage { message, since, .. } = shortage;
    let text = format!("{} since ", format::sentence_start(&plain(&message)));
    view! {
        <span
            class="flex min-w-0 items-baseline gap-1 text-warn [&>svg]:size-3.5 [&>svg]:shrink-0 [&>svg]:self-center"
            data-testid="waiting-for"
            title=move || format!("Since {}", clock.exact(since))
        >
            {Icon::Warning.draw()}
            <span class="min-w-0 break-words">
                {text}
                <time datetime=since.to_string() class="tabular-nums">{move || since_text(clock, since)}</time>
            </span>
        </span>
    }
}

/// The time of day, and the date from a day on. Before hydration in UTC.
fn since_text(clock: Clock, since: Timestamp) -> String {
    let zone = if clock.is_local() { "" } else { " UTC" };
    let is_old = clock.since(since).is_some_and(|since| since >= 24 * 60 * 60 * 1000);
    let offset = clock.offset(since);
    let text = if is_old { format::moment(since, offset) } else { format::clock_minutes(since, offset) };
    text + zone
}

/// The position of a pending run, and the run that blocks it.
#[component]
pub fn QueuePosition(id: RunId, queue: LiveQueue) -> impl IntoView {
    let entry = Memo::new(move |_| queue.entry(&id));
    move || {
        // Until the queue is loaded, which the server does not do.
        let Some(QueuedRun { position, held_by, waiting_for, .. }) = entry.get() else { return "Queued".into_any() };
        if waiting_for.is_some() {
            return view! { <span class="text-warn">"No worker"</span> }.into_any();
        }
        let text = match (position, held_by.is_some()) {
            (1, false) => "Next in queue".to_owned(),
            (_, false) => format!("#{position} in queue"),
            (1, true) => "Blocked by ".to_owned(),
            (_, true) => format!("#{position} in queue, behind "),
        };
        let held_by = held_by.map(|run| {
            let short = run.short().to_owned();
            view! {
                <a href=base::path(&format!("/runs/{run}")) class="relative font-mono text-accent underline-offset-2 hover:underline" title=run.to_string()>{short}</a>
            }
        });
        view! { <span data-testid="queue-position" data-position=position.to_string()>{text}{held_by}</span> }
            .into_any()
    }
}
