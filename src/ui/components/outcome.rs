//! The outcome of a built-in pipeline: counts and the resulting branch.

use leptos::prelude::*;

use super::copy::CopyButton;
use super::icon::Icon;
use super::invisible::mark_invisible;
use super::time::Elapsed;
use crate::feed::RunState;
use crate::model::kinds::Outcome;
use crate::model::visible::plain;
use crate::model::{PhaseState, Timestamp};
use crate::ui::format;

/// The summary of a run of a built-in pipeline, once it has an outcome.
#[component]
pub fn OutcomeSummary(
    /// The state of the run in the selected attempt.
    #[prop(into)]
    state: Signal<RunState>,
) -> impl IntoView {
    let outcome = Memo::new(move |_| state.with(|state| state.outcome.clone()));
    let from = Memo::new(move |_| state.with(|state| state.run.started_at));
    let to = Memo::new(move |_| state.with(|state| state.run.finished_at));
    move || outcome.get().map(|outcome| summary(outcome, from, to))
}

fn summary(outcome: Outcome, from: Memo<Option<Timestamp>>, to: Memo<Option<Timestamp>>) -> impl IntoView {
    let Outcome { message, files, findings, fixed, left, branch, commit, .. } = outcome;
    let numbers = [("files", files), ("findings", findings), ("fixed", fixed), ("remaining", left)];
    let number = |(label, count): (&'static str, u64)| {
        view! {
            <div class="flex items-baseline gap-1">
                <dd class="text-sm font-semibold tabular-nums">{format::count(count)}</dd>
                <dt class="text-xs text-soft">{label}</dt>
            </div>
        }
    };
    // The message says nothing that the branch does not.
    let message =
        branch.is_none().then(|| view! { <p class="min-w-0 text-sm break-words">{mark_invisible(&message)}</p> });
    let branch = branch.map(|branch| {
        let commit = commit.unwrap_or_default();
        let short: String = commit.chars().take(12).collect();
        view! {
            <div class="flex min-w-0 items-center gap-1 text-xs text-soft">
                <span class="shrink-0">"Branch"</span>
                <code class="min-w-0 truncate font-mono text-ink" data-testid="branch" title=plain(&branch)>
                    {mark_invisible(&branch)}
                </code>
                <CopyButton text=branch label="Copy branch name"/>
                <code class="font-mono max-sm:hidden" title=plain(&commit)>{mark_invisible(&short)}</code>
            </div>
        }
    });
    view! {
        <section
            class="card flex flex-wrap items-center gap-x-5 gap-y-2 px-4 py-2.5"
            aria-label="Summary"
            data-testid="outcome"
        >
            <div class="flex min-w-0 items-start gap-3">
                <span class="flex h-5 items-center text-ok">{Icon::of_phase(PhaseState::Completed).draw()}</span>
                <div class="flex min-w-0 flex-wrap items-center gap-x-5 gap-y-1">
                    {message}
                    <dl class="flex flex-wrap gap-x-4 gap-y-1">
                        {numbers.map(number)}
                        <div class="flex items-baseline gap-1">
                            <dt class="text-xs text-soft">"duration"</dt>
                            <dd class="text-sm font-semibold"><Elapsed from to/></dd>
                        </div>
                    </dl>
                </div>
            </div>
            {branch}
        </section>
    }
}
