//! What is said of a run that somebody has asked the end of, until it has ended.

use leptos::prelude::*;

use crate::model::Timestamp;
use crate::model::run::Cancellation;
use crate::ui::clock::Clock;
use crate::ui::format;

/// The word for people.
pub const CANCELLING: &str = "Cancelling";

/// When what still runs is killed.
#[component]
pub fn Cancelling(
    /// The request, while the run has not ended.
    #[prop(into)]
    request: Signal<Option<Cancellation>>,
) -> impl IntoView {
    let clock = Clock::of_page();
    let words = move |cancel: &Cancellation| match (cancel.force, cancel.kill_at) {
        (true, _) => "Cancelling: what still runs is being killed".to_owned(),
        (false, None) => "Cancelling…".to_owned(),
        (false, Some(at)) => when(clock, at),
    };
    move || {
        request.get().map(|cancel| {
            let (title, kill_at) = (format!("Asked for by {}", cancel.by), cancel.kill_at.map(|at| at.to_string()));
            view! {
                <span data-testid="cancelling" data-kill-at=kill_at title=title>{move || words(&cancel)}</span>
            }
        })
    }
}

fn when(clock: Clock, at: Timestamp) -> String {
    match clock.until(at) {
        // Until the page is alive, and where no script runs, it is no particular time.
        None => format!("Cancelling, will be killed at {}", clock.exact(at)),
        Some(0) => "Cancelling: what still runs is being killed".to_owned(),
        Some(left) => format!("Cancelling, will be killed in {}", format::ticking(left)),
    }
}
