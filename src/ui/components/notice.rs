//! Problems, as alerts.

use leptos::prelude::*;

use super::icon::Icon;
use super::text_with_code::TextWithCode;
use crate::model::{Problem, ProblemCode};

#[component]
pub fn ProblemNotice(problem: Problem, #[prop(optional, into)] dismiss: Option<Callback<()>>) -> impl IntoView {
    let close = dismiss.map(|dismiss| {
        view! {
            <button
                type="button"
                class="button button-icon button-small -my-0.5 -mr-1 ml-auto shrink-0 noscript:hidden"
                title="Dismiss"
                aria-label="Dismiss"
                on:click=move |_| dismiss.run(())
            >
                {Icon::Close.draw()}
            </button>
        }
    });
    view! {
        <div
            role="alert"
            class="flex gap-2 rounded-lg bg-bad-wash px-3 py-2 text-sm text-ink [&>svg]:mt-0.5 [&>svg]:text-bad"
        >
            {Icon::Failed.draw()}
            <p class="min-w-0 break-words">
                <strong class="font-semibold">{problem.title}". "</strong>
                <TextWithCode text=problem.detail/>
            </p>
            {close}
        </div>
    }
}

/// The problem of an action. If the server did not answer, the action may have succeeded all the same: `advice` says
/// what to do then.
pub fn for_action(problem: Problem, advice: &str) -> Problem {
    match problem.code {
        ProblemCode::Unreachable => Problem::new(ProblemCode::Unreachable, advice),
        _ => problem,
    }
}

/// The advice for actions that are not idempotent. See [`for_action`].
pub const UNCONFIRMED: &str = "We couldn't confirm this. Check the current state before retrying.";
