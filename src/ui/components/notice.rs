//! What went wrong, in a sentence.

use leptos::prelude::*;

use super::icon::Icon;
use crate::model::Problem;

/// A problem, as it was answered.
#[component]
pub fn ProblemNotice(
    /// The problem.
    problem: Problem,
) -> impl IntoView {
    view! {
        <div
            role="alert"
            class="flex gap-2 rounded-lg bg-bad-wash px-3 py-2 text-sm text-ink [&>svg]:mt-0.5 [&>svg]:text-bad"
        >
            {Icon::Failed.draw()}
            <p class="min-w-0 break-words">
                <strong class="font-semibold">{problem.title}". "</strong>
                {problem.detail}
            </p>
        </div>
    }
}
