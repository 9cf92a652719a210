//! The label, icon and color of a run's status.

use leptos::prelude::*;

use super::cancelling::CANCELLING;
use super::icon::Icon;
use crate::model::Status;

/// The label of a run that awaits approval.
pub const NEEDS_APPROVAL: &str = "Needs approval";

pub const fn label(status: Status) -> &'static str {
    match status {
        Status::Pending => "Queued",
        Status::Running => "Running",
        Status::Completed => "Completed",
        Status::Failed => "Failed",
        Status::Cancelled => "Cancelled",
        Status::Interrupted => "Interrupted",
    }
}

pub const fn color(status: Status) -> &'static str {
    match status {
        Status::Pending | Status::Cancelled => "text-soft",
        Status::Running => "text-info",
        Status::Completed => "text-ok",
        Status::Failed => "text-bad",
        Status::Interrupted => "text-warn",
    }
}

#[component]
pub fn StatusBadge(
    #[prop(into)] status: Signal<Status>,
    /// Whether the run awaits approval. Its status is `running` meanwhile, although nothing runs.
    #[prop(optional, into)]
    needs_approval: Signal<bool>,
    /// Whether cancellation was requested.
    #[prop(optional, into)]
    is_cancelling: Signal<bool>,
) -> impl IntoView {
    let draw = move || match (is_cancelling.get(), needs_approval.get()) {
        (true, _) => (Icon::Stopped.draw(), CANCELLING),
        (false, true) => (Icon::Waiting.draw(), NEEDS_APPROVAL),
        (false, false) => (Icon::of_status(status.get()).draw(), label(status.get())),
    };
    view! {
        <span class="badge" data-status=move || if needs_approval.get() { "asks" } else { status.get().as_str() }>
            {draw}
        </span>
    }
}
