//! A run's status in a word, an icon and a color.

use leptos::prelude::*;

use super::cancelling::CANCELLING;
use super::icon::Icon;
use crate::model::Status;

/// What a run does that waits for a person, for people.
pub const ASKS: &str = "Needs approval";

/// The word for people.
pub const fn word(status: Status) -> &'static str {
    match status {
        Status::Pending => "Queued",
        Status::Running => "Running",
        Status::Completed => "Completed",
        Status::Failed => "Failed",
        Status::Cancelled => "Cancelled",
        Status::Interrupted => "Interrupted",
    }
}

/// The color of a status.
pub const fn color(status: Status) -> &'static str {
    match status {
        Status::Pending | Status::Cancelled => "text-soft",
        Status::Running => "text-info",
        Status::Completed => "text-ok",
        Status::Failed => "text-bad",
        Status::Interrupted => "text-warn",
    }
}

/// A status as a badge.
#[component]
pub fn StatusBadge(
    /// The status.
    #[prop(into)]
    status: Signal<Status>,
    /// Whether the run waits for a person: then nothing runs, whatever the status is.
    #[prop(into)]
    asks: Signal<bool>,
    /// Whether somebody has asked for its end.
    #[prop(into)]
    cancels: Signal<bool>,
) -> impl IntoView {
    let draw = move || match (cancels.get(), asks.get()) {
        (true, _) => (Icon::Stopped.draw(), CANCELLING),
        (false, true) => (Icon::Waiting.draw(), ASKS),
        (false, false) => (Icon::of_status(status.get()).draw(), word(status.get())),
    };
    view! {
        <span class="badge" data-status=move || if asks.get() { "asks" } else { status.get().as_str() }>
            {draw}
        </span>
    }
}
