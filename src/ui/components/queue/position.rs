//! The queue position of a run, live.

use leptos::prelude::*;

use super::LiveQueue;
use crate::base;
use crate::model::queue::QueuedRun;
use crate::model::{RunId, Status};

/// The position of a single run while it is pending, with a queue of its own.
#[component]
pub fn PendingQueuePosition(id: RunId, status: Memo<Status>) -> impl IntoView {
    move || {
        let queue = (status.get() == Status::Pending).then(LiveQueue::new)?;
        Effect::new(move |_| queue.begin());
        Some(view! { <QueuePosition id=id.clone() queue/> })
    }
}

/// The position of a pending run, and the run that blocks it.
#[component]
pub fn QueuePosition(id: RunId, queue: LiveQueue) -> impl IntoView {
    let entry = Memo::new(move |_| queue.entry(&id));
    move || {
        // Until the queue is loaded, which the server does not do.
        let Some(QueuedRun { position, held_by, .. }) = entry.get() else { return "Queued".into_any() };
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
