//! What went wrong, in a sentence.

use leptos::prelude::*;

use super::code::Words;
use super::icon::Icon;
use crate::model::{Problem, ProblemCode};

/// A problem, as it was answered.
#[component]
pub fn ProblemNotice(
    /// The problem.
    problem: Problem,
    /// Takes the notice away, where it may be.
    #[prop(optional, into)]
    dismiss: Option<Callback<()>>,
) -> impl IntoView {
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
                <Words text=problem.detail/>
            </p>
            {close}
        </div>
    }
}

/// A problem of something that was to be done: where the server has not answered, it may have been done all the same, and `then` says
/// what to do about that.
pub fn of_action(problem: Problem, then: &str) -> Problem {
    match problem.code {
        ProblemCode::Unreachable => Problem::new(ProblemCode::Unreachable, then),
        _ => problem,
    }
}

/// What [`of_action`] says of what is not safe to be done twice.
pub const NOT_KNOWN: &str = "It is not known whether this was done. Look before you try again.";
