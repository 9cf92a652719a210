//! What a person looks through: findings, patches, and the question whether the run may go on.

mod approval;
mod diff;
mod findings;
mod left_out;
mod patches;
mod tab;

use leptos::prelude::*;

use crate::browser::Timer;
use crate::feed::RunState;
use crate::model::RunId;
use crate::model::review::{FindingFilter, ReviewCounts};
use crate::ui::slot::Slot;

pub use approval::ApprovalBanner;
use findings::FindingList;
pub use left_out::LeftOut;
use patches::PatchList;
pub use tab::{Tab, Tabs};

/// How long changes are collected before the lists are read again, in milliseconds.
const COLLECT: u64 = 500;

/// The panel beside Activity: the one of its lists that the address asks for.
#[component]
pub fn ReviewPanel(
    /// The run.
    id: RunId,
    /// Its state in the attempt that is shown.
    #[prop(into)]
    state: Signal<RunState>,
    /// The attempt, if it is an earlier one.
    earlier: Memo<Option<u32>>,
    /// Which list.
    tab: Memo<Tab>,
    /// What the operator leaves out.
    left_out: LeftOut,
) -> impl IntoView {
    let now = move || state.with(|state| (state.run.attempt, state.review_counts));
    // Patches come in bursts: the lists are read again soon after the first of them, not for each.
    let known = RwSignal::new(now());
    let waiting = StoredValue::new(false);
    let soon = Slot::new();
    Effect::new(move |_| {
        let (now, shown) = (now(), known.get_untracked());
        // Another attempt is nothing to wait for.
        if now.0 != shown.0 {
            known.set(now);
        }
        if now.0 != shown.0 || now == shown || waiting.get_value() {
            return;
        }
        waiting.set_value(true);
        soon.keep(Timer::after(COLLECT, move || {
            if waiting.try_set_value(false).is_none() {
                known.try_set(now_untracked(state));
            }
        }));
    });
    let attempt = Memo::new(move |_| known.get().0);
    // Kept while another tab is shown.
    let filter = RwSignal::new(FindingFilter::default());
    let findings = Memo::new(move |_| known.get().1.findings);
    let patches = Memo::new(move |_| known.get().1.patches);
    let list = {
        let id = id.clone();
        move || match tab.get() {
            Tab::Activity => ().into_any(),
            Tab::Findings => view! { <FindingList id=id.clone() attempt earlier count=findings filter/> }.into_any(),
            Tab::Changes => view! { <PatchList id=id.clone() attempt count=patches state left_out/> }.into_any(),
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
