//! A run's attempts as tabs, the newest first. The address says which one is shown, so that links and the back button work.

use leptos::prelude::*;

use super::ShownAttempt;
use crate::base;
use crate::feed::RunState;
use crate::model::attempt::AttemptSummary;
use crate::model::{RunId, Status};
use crate::ui::components::icon::Icon;
use crate::ui::components::popover::Popover;
use crate::ui::components::review::Tab;
use crate::ui::components::status::{self, StatusBadge};

/// So many attempts have a tab; the others are in a menu.
const TABS: usize = 5;

/// The tabs, if there is more than one attempt.
#[component]
pub fn AttemptTabs(
    /// The run.
    id: RunId,
    /// How it stands now.
    state: RwSignal<RunState>,
    /// The attempt that is shown.
    shown: ShownAttempt,
    /// What is shown of it.
    tab: Memo<Tab>,
) -> impl IntoView {
    let newest = Memo::new(move |_| state.with(|state| state.run.attempt));
    let marks = Memo::new(move |_| {
        state.with(|state| {
            let now = AttemptSummary { attempt: state.run.attempt, status: state.run.status };
            std::iter::once(now).chain(state.earlier.iter().rev().copied()).collect::<Vec<_>>()
        })
    });
    let current = Memo::new(move |_| shown.earlier.get().unwrap_or_else(|| newest.get()));
    let in_row = move || {
        let marks = marks.get();
        let attempts = marks.iter().enumerate().filter(|(place, mark)| *place < TABS || mark.attempt == current.get());
        attempts.map(|(_, mark)| mark.attempt).collect::<Vec<_>>()
    };
    let in_menu = move || {
        let attempts = marks.get().into_iter().skip(TABS).map(|mark| mark.attempt);
        attempts.filter(|&attempt| attempt != current.get()).collect::<Vec<_>>()
    };
    let id = StoredValue::new(id);
    let link = move |attempt: u32, class: &'static str| {
        let status = Memo::new(move |before: Option<&Status>| {
            let found = marks.with(|marks| marks.iter().find(|mark| mark.attempt == attempt).map(|mark| mark.status));
            found.or(before.copied()).unwrap_or(Status::Pending)
        });
        let href = move || {
            let earlier = (attempt != newest.get()).then_some(attempt);
            id.with_value(|id| tab.get().address(id, earlier))
        };
        let label = move || format!("Attempt {attempt}, {}", status::word(status.get()).to_lowercase());
        view! {
            <a
                href=href
                data-noscroll
                class=class
                data-testid="attempt"
                data-attempt=attempt
                data-status=move || status.get().as_str()
                aria-current=move || (current.get() == attempt).then_some("page")
                aria-label=label
                title=label
            >
                <span class=move || format!("flex {}", status::colour(status.get()))>
                    {move || Icon::of_status(status.get()).draw()}
                </span>
                <span class="tabular-nums">{attempt}</span>
            </a>
        }
    };
    let compare = move || {
        let before = current.get().saturating_sub(1).max(1);
        let (a, b) = if current.get() > 1 { (before, current.get()) } else { (1, newest.get()) };
        id.with_value(|id| base::path(&format!("/runs/{id}/compare?a={a}&b={b}")))
    };
    let menu = Popover::new();
    let none_in_menu = Memo::new(move |_| in_menu().is_empty());
    view! {
        <nav
            class="relative flex flex-wrap items-center gap-x-1 gap-y-1.5"
            class:hidden=move || newest.get() < 2
            aria-label="Attempts"
            data-testid="attempts"
        >
            <span class="pr-1 text-xs font-semibold text-soft" aria-hidden="true">"Attempts"</span>
            <For each=in_row key=|attempt| *attempt let:attempt>
                {link(attempt, "tab tab-small")}
            </For>
            <details class="sm:relative" class:hidden=move || none_in_menu.get() node_ref=menu.fold>
                <summary class="tab tab-small list-none [&::-webkit-details-marker]:hidden" data-testid="more-attempts">
                    "Earlier"
                    {Icon::Fold.draw()}
                </summary>
                <div class="scrollbar-thin absolute top-full left-0 z-20 mt-1 grid max-h-64 w-max grid-cols-3 gap-0.5 overflow-auto rounded-lg border border-line bg-panel p-1.5 shadow-lg max-sm:max-w-full" on:click=move |_| menu.close()>
                    <For each=in_menu key=|attempt| *attempt let:attempt>
                        {link(attempt, "tab tab-small")}
                    </For>
                </div>
            </details>
            // A page of its own; the router takes the whole page there.
            <a href=compare class="tab tab-small text-accent" data-testid="compare">"Compare"</a>
        </nav>
    }
}

/// Says that an earlier attempt is shown, how it ended, and where the newest one is.
#[component]
pub fn AttemptNote(
    /// The run.
    id: RunId,
    /// How it stands now.
    state: RwSignal<RunState>,
    /// The attempt that is shown.
    shown: ShownAttempt,
    /// What is shown of it.
    tab: Memo<Tab>,
) -> impl IntoView {
    let newest = Memo::new(move |_| state.with(|state| state.run.attempt));
    let status = Memo::new(move |_| shown.state.with(|state| state.run.status));
    let words = move || {
        let attempt = shown.state.with(|state| state.run.attempt);
        format!("Attempt {attempt} of {}, as it was", newest.get())
    };
    view! {
        <p
            class="flex flex-wrap items-center gap-x-3 gap-y-1 rounded-lg bg-raised px-3 py-1.5 text-xs"
            class:hidden=move || shown.earlier.get().is_none()
            data-testid="attempt-shown"
            data-attempt=move || shown.state.with(|state| state.run.attempt)
            data-status=move || status.get().as_str()
        >
            <StatusBadge status asks=Signal::stored(false) cancels=Signal::stored(false)/>
            <span class="font-medium">{words}</span>
            <a
                href=move || tab.get().address(&id, None)
                data-noscroll
                class="text-accent underline-offset-2 hover:underline"
            >
                "Show the newest"
            </a>
        </p>
    }
}
