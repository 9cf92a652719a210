//! The Changes tab: the patches of an attempt.

use std::collections::BTreeSet;

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::Exclusions;
use super::patch_card::PatchCard;
use crate::calls::read_patches;
use crate::feed::RunState;
use crate::model::RunId;
use crate::model::review::PatchEntry;
use crate::ui::components::load_error::LoadError;
use crate::ui::format;

/// How many patches are listed before "Show all".
const MAX_PATCHES: usize = 300;

/// What all patch cards share.
#[derive(Clone, Copy)]
pub struct PatchListState {
    /// Whether diffs are side by side.
    pub split: RwSignal<bool>,
    /// The target of the link in the address: the seq of a patch and a line.
    pub linked: Memo<Option<(u64, u64)>>,
    pub needs_approval: Memo<bool>,
    /// What the approver excludes now.
    pub exclusions: Exclusions,
    /// The paths that an approval excluded.
    pub excluded: Memo<BTreeSet<String>>,
}

#[component]
pub fn PatchList(
    id: RunId,
    attempt: Memo<u32>,
    /// The number of patches. When it changes, they are loaded again.
    count: Memo<u64>,
    /// The state of the run in that attempt.
    state: Signal<RunState>,
    exclusions: Exclusions,
) -> impl IntoView {
    let query = use_query_map();
    let linked = Memo::new(move |_| {
        let (seq, line) = query.with(|query| query.get("at"))?.split_once(':').map(|(a, b)| (a.parse(), b.parse()))?;
        seq.ok().zip(line.ok())
    });
    let list = PatchListState {
        split: RwSignal::new(false),
        linked,
        needs_approval: Memo::new(move |_| state.with(|state| state.run.approval.is_some())),
        exclusions,
        excluded: Memo::new(move |_| state.with(|state| state.excluded.iter().cloned().collect())),
    };
    let key = id.to_string();
    let patches =
        Resource::new(move || (attempt.get(), count.get()), move |(attempt, _)| read_patches(key.clone(), attempt));
    let id = StoredValue::new(id);
    let content = move || {
        Suspend::new(async move {
            match patches.await {
                Ok(patches) => view! { <Patches id=id.get_value() patches list/> }.into_any(),
                Err(problem) => {
                    let retry = Callback::new(move |()| patches.refetch());
                    view! { <div class="p-4"><LoadError problem retry/></div> }.into_any()
                }
            }
        })
    };
    view! {
        <Transition fallback=|| view! { <p class="m-auto p-6 text-sm text-faint">"Loading…"</p> }>{content}</Transition>
    }
}

#[component]
fn Patches(id: RunId, patches: Vec<PatchEntry>, list: PatchListState) -> impl IntoView {
    let count = patches.len();
    let show_all = RwSignal::new(false);
    let linked = list.linked.get_untracked().map(|(seq, _)| seq);
    let patches = StoredValue::new(patches);
    let listed = move || {
        let limit = if show_all.get() { usize::MAX } else { MAX_PATCHES };
        // The target of a link is listed wherever it is.
        let is_listed = |(index, patch): &(usize, &PatchEntry)| *index < limit || Some(patch.seq) == linked;
        patches.with_value(|patches| {
            patches.iter().enumerate().filter(is_listed).map(|(_, patch)| patch.clone()).collect::<Vec<_>>()
        })
    };
    view! {
        <PatchListHeader patches list/>
        <div class="min-h-0 flex-1 overflow-auto p-3" data-testid="patches">
            <p class="p-6 text-center text-sm text-faint" class:hidden=count != 0>"No changes yet."</p>
            <p class="hidden pb-3 text-xs text-soft noscript:block">
                "JavaScript is off: only the first patches are expanded. The branch or the log has all of them."
            </p>
            <div class="flex flex-col gap-3">
                <For each=listed key=|patch| patch.seq let:patch>
                    <PatchCard id=id.clone() patch list/>
                </For>
            </div>
            <button
                type="button"
                class="button button-small mx-auto mt-3 flex"
                class:hidden=move || show_all.get() || count <= MAX_PATCHES
                on:click=move |_| show_all.set(true)
            >
                {format!("Show all {}", format::count(count as u64))}
            </button>
        </div>
    }
}

#[component]
fn PatchListHeader(patches: StoredValue<Vec<PatchEntry>>, list: PatchListState) -> impl IntoView {
    let PatchListState { split, needs_approval, exclusions, .. } = list;
    let seqs = patches.with_value(|patches| patches.iter().map(|patch| patch.seq).collect::<Vec<_>>());
    let (added, removed) =
        patches.with_value(|all| all.iter().fold((0, 0), |(a, r), patch| (a + patch.added, r + patch.removed)));
    let count = seqs.len() as u64;
    let seqs = StoredValue::new(seqs);
    let exclude_all = move |is_excluded| exclusions.set(seqs.get_value().into_iter(), is_excluded);
    let layouts = [("Unified", false), ("Side by side", true)].map(|(label, is_split)| {
        view! {
            <button
                type="button"
                class="tab tab-small"
                aria-pressed=move || (split.get() == is_split).to_string()
                on:click=move |_| split.set(is_split)
            >
                {label}
            </button>
        }
    });
    view! {
        <header class="flex min-h-11 shrink-0 flex-wrap items-center gap-x-3 gap-y-1 border-b border-line py-1.5 pr-2 pl-4">
            <h2 class="text-sm font-semibold">"Changes"</h2>
            <span class="text-xs text-faint tabular-nums">
                {format::counted(count, "patch")}
                <span class="pl-2 text-ok">{format!("+{}", format::count(added))}</span>
                <span class="pl-1 text-bad">{format!("−{}", format::count(removed))}</span>
            </span>
            <div class="ml-auto flex gap-1 noscript:hidden" class:hidden=move || !needs_approval.get()>
                <button type="button" class="tab tab-small" on:click=move |_| exclude_all(false)>"Select all"</button>
                <button type="button" class="tab tab-small" on:click=move |_| exclude_all(true)>"Select none"</button>
            </div>
            <div
                class="hidden gap-1 noscript:!hidden md:flex"
                class=("ml-auto", move || !needs_approval.get())
                role="group"
                aria-label="Diff layout"
            >
                {layouts}
            </div>
        </header>
    }
}
