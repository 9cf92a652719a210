//! A run's status in a word, an icon and a colour.

use leptos::prelude::*;

use super::icon::Icon;
use crate::model::Status;

/// The word for people.
pub const fn word(status: Status) -> &'static str {
    match status {
        Status::Pending => "Waiting",
        Status::Running => "Running",
        Status::Completed => "Completed",
        Status::Failed => "Failed",
        Status::Cancelled => "Cancelled",
        Status::Interrupted => "Interrupted",
    }
}

/// The colour of a status.
pub const fn colour(status: Status) -> &'static str {
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
) -> impl IntoView {
    view! {
        <span class="badge" data-status=move || status.get().as_str()>
            {move || Icon::of_status(status.get()).draw()}
            {move || word(status.get())}
        </span>
    }
}
