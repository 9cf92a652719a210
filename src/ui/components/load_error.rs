//! Data that could not be loaded: the problem, and automatic retries.

use leptos::prelude::*;

use super::notice::ProblemNotice;
use crate::browser::PageEvent;
use crate::model::Problem;
use crate::ui::refresh::refresh_while_visible;

const RETRY_INTERVAL_MS: u64 = 3000;

/// Runs `retry` every few seconds while the page is visible, and at once when the tab or the network returns, until
/// the owner is cleaned up. A new response replaces the view that called this, which stops it.
pub fn retry_while_visible(retry: Callback<()>) {
    let events = &[PageEvent::Visible, PageEvent::Online, PageEvent::Returned];
    refresh_while_visible(RETRY_INTERVAL_MS, events, move || {
        let _ = retry.try_run(());
    });
}

/// A problem in place of the data. If it is retryable, the data is requested again until it arrives.
#[component]
pub fn LoadError(problem: Problem, retry: Callback<()>) -> impl IntoView {
    let retryable = problem.retryable;
    if retryable {
        retry_while_visible(retry);
    }
    view! {
        <div class="flex flex-col items-start gap-2">
            <ProblemNotice problem/>
            {retryable.then(|| view! { <RetryButton retry/> })}
        </div>
    }
}

#[component]
pub fn RetryButton(retry: Callback<()>) -> impl IntoView {
    view! {
        <button type="button" class="button noscript:hidden" on:click=move |_| retry.run(())>
            "Try again"
        </button>
    }
}
