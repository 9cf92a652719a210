//! What a built-in pipeline has done to the code: the numbers, and the branch to look at.

use leptos::prelude::*;

use super::copy::CopyButton;
use super::icon::Icon;
use super::time::Elapsed;
use super::visible::visible;
use crate::feed::RunState;
use crate::feed::visible::plain;
use crate::model::kinds::Outcome;
use crate::model::{PhaseState, Timestamp};
use crate::ui::format;

/// The summary of a run of a built-in pipeline; nothing for other runs, and before it is there.
#[component]
pub fn OutcomeSummary(
    /// The run's state in the attempt that is shown.
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
    let number = |(what, count): (&'static str, u64)| {
        view! {
            <div class="flex items-baseline gap-1">
                <dd class="text-sm font-semibold tabular-nums">{format::count(count)}</dd>
                <dt class="text-xs text-soft">{what}</dt>
            </div>
        }
    };
    // Whoever has the branch's name needs no more; the sentence is for runs without one.
    let said = branch.is_none().then(|| view! { <p class="min-w-0 text-sm break-words">{visible(&message)}</p> });
    let branch = branch.map(|branch| {
        let commit = commit.unwrap_or_default();
        let short: String = commit.chars().take(12).collect();
        view! {
            <div class="flex min-w-0 items-center gap-1 text-xs text-soft">
                <span class="shrink-0">"Branch"</span>
                <code class="min-w-0 truncate font-mono text-ink" data-testid="branch" title=plain(&branch)>
                    {visible(&branch)}
                </code>
                <CopyButton text=branch label="Copy branch name"/>
                <code class="font-mono max-sm:hidden" title=plain(&commit)>{visible(&short)}</code>
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
                    {said}
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
