//! A run that is being cancelled.

use leptos::prelude::*;

use crate::model::Timestamp;
use crate::model::run::Cancellation;
use crate::ui::clock::Clock;
use crate::ui::format;

/// The label of a run between the cancel request and its end.
pub const CANCELLING: &str = "Cancelling";

/// Says when the remaining processes will be killed.
#[component]
pub fn Cancelling(
    /// The cancel request of a run that has not ended.
    #[prop(into)]
    request: Signal<Option<Cancellation>>,
) -> impl IntoView {
    let clock = Clock::from_context();
    let text = move |cancel: &Cancellation| match (cancel.force, cancel.kill_at) {
        (true, _) => "Cancelling: killing the remaining processes".to_owned(),
        (false, None) => "Cancelling…".to_owned(),
        (false, Some(at)) => countdown(clock, at),
    };
    move || {
        request.get().map(|cancel| {
            let (title, kill_at) = (format!("Requested by {}", cancel.by), cancel.kill_at.map(|at| at.to_string()));
            view! {
                <span data-testid="cancelling" data-kill-at=kill_at title=title>{move || text(&cancel)}</span>
            }
        })
    }
}

fn countdown(clock: Clock, at: Timestamp) -> String {
    match clock.until(at) {
        // Before hydration, and without JavaScript, the current time is unknown.
        None => format!("Cancelling, will be killed at {}", clock.exact(at)),
        Some(0) => "Cancelling: killing the remaining processes".to_owned(),
        Some(left) => format!("Cancelling, will be killed in {}", format::ticking(left)),
    }
}
