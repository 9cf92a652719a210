//! Reviewing a run: findings, patches and the approval.

mod approval;
mod diff;
mod exclusions;
mod findings;
mod patch_card;
mod patches;
mod tab;

use leptos::prelude::*;

use crate::browser::Timer;
use crate::feed::RunState;
use crate::model::RunId;
use crate::model::review::{FindingFilter, ReviewCounts};
use crate::ui::scoped_handle::ScopedHandle;

pub use approval::ApprovalBanner;
pub use exclusions::Exclusions;
use findings::FindingList;
use patches::PatchList;
pub use tab::{Tab, Tabs};

/// How long changes are collected before the lists are loaded again.
const RELOAD_DELAY_MS: u64 = 500;

/// The panel with the list of the current tab.
#[component]
pub fn ReviewPanel(
    id: RunId,
    /// The state of the run in the selected attempt.
    #[prop(into)]
    state: Signal<RunState>,
    /// The selected attempt, if it is an earlier one.
    earlier: Memo<Option<u32>>,
    tab: Memo<Tab>,
    exclusions: Exclusions,
) -> impl IntoView {
    let now = move || state.with(|state| (state.run.attempt, state.review_counts));
    // Patches arrive in bursts: the lists are loaded again a moment after the first one.
    let known = RwSignal::new(now());
    let is_waiting = StoredValue::new(false);
    let reload = ScopedHandle::new();
    Effect::new(move |_| {
        let (now, shown) = (now(), known.get_untracked());
        // Another attempt is loaded at once.
        if now.0 != shown.0 {
            known.set(now);
        }
        if now.0 != shown.0 || now == shown || is_waiting.get_value() {
            return;
        }
        is_waiting.set_value(true);
        reload.replace(Timer::after(RELOAD_DELAY_MS, move || {
            if is_waiting.try_set_value(false).is_none() {
                known.try_set(now_untracked(state));
            }
        }));
    });
    let attempt = Memo::new(move |_| known.get().0);
    // Here, so that it survives a change of the tab.
    let filter = RwSignal::new(FindingFilter::default());
    let findings = Memo::new(move |_| known.get().1.findings);
    let patches = Memo::new(move |_| known.get().1.patches);
    let list = {
        let id = id.clone();
        move || match tab.get() {
            Tab::Activity => ().into_any(),
            Tab::Findings => view! { <FindingList id=id.clone() attempt earlier count=findings filter/> }.into_any(),
            Tab::Changes => view! { <PatchList id=id.clone() attempt count=patches state exclusions/> }.into_any(),
        }
    };
    view! {
        <section
            class="card col-start-1 row-start-1 flex min-h-0 min-w-0 flex-col overflow-hidden"
            class:hidden=move || tab.get() == Tab::Activity
            aria-label=move || tab.get().title()
            data-testid="review"
        >
            {list}
        </section>
    }
}

fn now_untracked(state: Signal<RunState>) -> (u32, ReviewCounts) {
    state.with_untracked(|state| (state.run.attempt, state.review_counts))
}
