//! Where a run stands in the queue, in words.

use leptos::prelude::*;

use super::LiveQueue;
use crate::base;
use crate::model::queue::QueuedRun;
use crate::model::{RunId, Status};

/// The same for one run alone, as long as it waits.
#[component]
pub fn PendingPlace(
    /// The run.
    id: RunId,
    /// Where it stands.
    status: Memo<Status>,
) -> impl IntoView {
    move || {
        let queue = (status.get() == Status::Pending).then(LiveQueue::new)?;
        Effect::new(move |_| queue.begin());
        Some(view! { <QueuePlace id=id.clone() queue/> })
    }
}

/// Where a run stands in the queue, while it waits. Live.
#[component]
pub fn QueuePlace(
    /// The run.
    id: RunId,
    /// The queue.
    queue: LiveQueue,
) -> impl IntoView {
    let place = Memo::new(move |_| queue.place(&id));
    move || {
        // As the server renders it, and until the queue is known.
        let Some(QueuedRun { position, held_by, .. }) = place.get() else { return "In the queue".into_any() };
        let words = match (position, held_by.is_some()) {
            (1, false) => "Next in queue".to_owned(),
            (_, false) => format!("#{position} in queue"),
            (1, true) => "Waits for ".to_owned(),
            (_, true) => format!("#{position} in queue, after "),
        };
        let held = held_by.map(|run| {
            let short = run.short().to_owned();
            view! {
                <a href=base::path(&format!("/runs/{run}")) class="relative font-mono text-accent underline-offset-2 hover:underline" title=run.to_string()>{short}</a>
            }
        });
        view! { <span data-testid="queue-position" data-position=position.to_string()>{words}{held}</span> }.into_any()
    }
}
