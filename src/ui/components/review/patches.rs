//! The patches of an attempt, each to be looked at and, while the run asks, to be left out.

use std::collections::BTreeSet;

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::hooks::use_query_map;

use super::{LeftOut, diff};
use crate::browser::{Timer, show_element};
use crate::calls::{read_patch, read_patches};
use crate::feed::RunState;
use crate::feed::visible::{directions, plain};
use crate::model::kinds::FixSafety;
use crate::model::review::{PatchContent, PatchEntry};
use crate::model::{Problem, RunId};
use crate::ui::components::again::Unanswered;
use crate::ui::components::icon::Icon;
use crate::ui::components::visible::{direction_warning, visible};
use crate::ui::format;
use crate::ui::slot::Slot;

/// How many lines of a patch are drawn before one asks for more.
const DRAWN: usize = 1500;

/// How many patches are listed before one asks for more.
const LISTED: usize = 300;

/// How patches are drawn, and what is looked for in them.
#[derive(Clone, Copy)]
struct Look {
    split: RwSignal<bool>,
    /// The patch that a link leads to, by its seq, and the line in it.
    at: Memo<Option<(u64, u64)>>,
    asks: Memo<bool>,
    left_out: LeftOut,
    excluded: Memo<BTreeSet<String>>,
}

/// The patches.
#[component]
pub fn PatchList(
    /// The run.
    id: RunId,
    /// Which attempt.
    attempt: Memo<u32>,
    /// How many there are: when that changes, they are read again.
    count: Memo<u64>,
    /// The run's state in that attempt.
    state: Signal<RunState>,
    /// The patches that the operator leaves out.
    left_out: LeftOut,
) -> impl IntoView {
    let query = use_query_map();
    let at = Memo::new(move |_| {
        let (seq, line) = query.with(|query| query.get("at"))?.split_once(':').map(|(a, b)| (a.parse(), b.parse()))?;
        seq.ok().zip(line.ok())
    });
    let look = Look {
        split: RwSignal::new(false),
        at,
        asks: Memo::new(move |_| state.with(|state| state.run.approval.is_some())),
        left_out,
        excluded: Memo::new(move |_| state.with(|state| state.excluded.iter().cloned().collect())),
    };
    let key = id.to_string();
    let patches =
        Resource::new(move || (attempt.get(), count.get()), move |(attempt, _)| read_patches(key.clone(), attempt));
    let id = StoredValue::new(id);
    let list = move || {
        Suspend::new(async move {
            match patches.await {
                Ok(patches) => view! { <Patches id=id.get_value() patches look/> }.into_any(),
                Err(problem) => {
                    let again = Callback::new(move |()| patches.refetch());
                    view! { <div class="p-4"><Unanswered problem again/></div> }.into_any()
                }
            }
        })
    };
    view! {
        <Transition fallback=|| view! { <p class="m-auto p-6 text-sm text-faint">"Loading…"</p> }>{list}</Transition>
    }
}

#[component]
fn Patches(id: RunId, patches: Vec<PatchEntry>, look: Look) -> impl IntoView {
    let count = patches.len();
    let (added, removed) = patches.iter().fold((0, 0), |(a, r), patch| (a + patch.added, r + patch.removed));
    let all = RwSignal::new(false);
    let linked = look.at.get_untracked().map(|(seq, _)| seq);
    let patches = StoredValue::new(patches);
    let shown = move || {
        let most = if all.get() { usize::MAX } else { LISTED };
        // What a link leads to is there, wherever it is in the list.
        let wanted = |(place, patch): &(usize, &PatchEntry)| *place < most || Some(patch.seq) == linked;
        patches.with_value(|patches| {
            patches.iter().enumerate().filter(wanted).map(|(_, patch)| patch.clone()).collect::<Vec<_>>()
        })
    };
    let seqs =
        move || patches.with_value(|patches| patches.iter().map(|patch| patch.seq).collect::<Vec<_>>()).into_iter();
    let ways = [("Unified", false), ("Side by side", true)].map(|(word, split)| {
        view! {
            <button
                type="button"
                class="tab tab-small"
                aria-pressed=move || (look.split.get() == split).to_string()
                on:click=move |_| look.split.set(split)
            >
                {word}
            </button>
        }
    });
    view! {
        <header class="flex min-h-11 shrink-0 flex-wrap items-center gap-x-3 gap-y-1 border-b border-line py-1.5 pr-2 pl-4">
            <h2 class="text-sm font-semibold">"Changes"</h2>
            <span class="text-xs text-faint tabular-nums">
                {format::counted(count as u64, "patch")}
                <span class="pl-2 text-ok">{format!("+{}", format::count(added))}</span>
                <span class="pl-1 text-bad">{format!("−{}", format::count(removed))}</span>
            </span>
            <div class="ml-auto flex gap-1 noscript:hidden" class:hidden=move || !look.asks.get()>
                <button type="button" class="tab tab-small" on:click=move |_| look.left_out.set(seqs(), false)>"Apply all"</button>
                <button type="button" class="tab tab-small" on:click=move |_| look.left_out.set(seqs(), true)>"None"</button>
            </div>
            <div
                class="hidden gap-1 noscript:!hidden md:flex"
                class=("ml-auto", move || !look.asks.get())
                role="group"
                aria-label="How patches are shown"
            >
                {ways}
            </div>
        </header>
        <div class="min-h-0 flex-1 overflow-auto p-3" data-testid="patches">
            <p class="p-6 text-center text-sm text-faint" class:hidden=move || count != 0>
                "No patches. They appear here as soon as a phase reports one."
            </p>
            <p class="hidden pb-3 text-xs text-soft noscript:block">
                "Without scripts only the first patches are open; the branch, or the log, has all of them."
            </p>
            <div class="flex flex-col gap-3">
                <For each=shown key=|patch| patch.seq let:patch>
                    <PatchCard id=id.clone() patch look/>
                </For>
            </div>
            <button
                type="button"
                class="button button-small mx-auto mt-3 flex"
                class:hidden=move || all.get() || count <= LISTED
                on:click=move |_| all.set(true)
            >
                {format!("Show all {}", format::count(count as u64))}
            </button>
        </div>
    }
}

#[component]
fn PatchCard(id: RunId, patch: PatchEntry, look: Look) -> impl IntoView {
    let PatchEntry { seq, path, added, removed, fix, shown } = patch;
    let linked = Memo::new(move |_| look.at.get().filter(|(at, _)| *at == seq).map(|(_, line)| line));
    let open = RwSignal::new(shown.is_some() || linked.get_untracked().is_some());
    let content = RwSignal::new(shown.map(Ok::<_, Problem>));
    let asked = StoredValue::new(false);
    Effect::new(move |_| {
        if linked.get().is_some() {
            open.set(true);
        }
    });
    Effect::new(move |_| {
        if !open.get() || content.with(Option::is_some) || asked.get_value() {
            return;
        }
        asked.set_value(true);
        let id = id.to_string();
        spawn_local(async move {
            content.try_set(Some(read_patch(id, seq).await));
        });
    });
    let again = Callback::new(move |()| {
        asked.set_value(false);
        content.set(None);
    });
    // The line that a link leads to, once it is drawn.
    let soon = Slot::new();
    let marked = Memo::new(move |_| {
        let line = linked.get()?;
        content.with(|content| match content {
            Some(Ok(PatchContent::View(view))) => diff::nearest(view, line),
            _ => None,
        })
    });
    Effect::new(move |_| {
        if let Some(line) = marked.get() {
            soon.keep(Timer::after(0, move || show_element(&diff::row_id(seq, line))));
        }
    });
    let out = {
        let path = path.clone();
        Memo::new(move |_| match look.asks.get() {
            true => look.left_out.has(seq),
            false => look.excluded.with(|out| out.contains(&path)),
        })
    };
    let all = RwSignal::new(false);
    let body = move || match content.get() {
        _ if !open.get() => ().into_any(),
        None => view! { <p class="px-4 py-3 text-xs text-faint">"Loading…"</p> }.into_any(),
        Some(Err(problem)) => view! { <div class="p-3"><Unanswered problem again/></div> }.into_any(),
        Some(Ok(PatchContent::Text(text))) => {
            let warning = direction_warning(directions([text.as_str()]));
            view! { {warning}<pre class="overflow-x-auto px-4 py-3 font-mono text-xs">{visible(&text)}</pre> }
                .into_any()
        }
        Some(Ok(PatchContent::View(view))) => {
            // A link into what is not drawn draws all of it.
            let most = if all.get() || marked.get().is_some() { usize::MAX } else { DRAWN };
            let lines = view.hunks.iter().map(|hunk| hunk.lines.len()).sum::<usize>();
            let whole = most >= lines;
            let words = format!("Show all {}", format::counted(lines as u64, "line"));
            let spans = view.hunks.iter().flat_map(|hunk| &hunk.lines).flat_map(|line| &line.spans);
            let warning =
                direction_warning(directions(spans.map(|piece| piece.text.as_str()).chain([view.path.as_str()])));
            view! {
                {warning}
                <div class="overflow-x-auto">{diff::draw(seq, &view, look.split.get(), most)}</div>
                <button
                    type="button"
                    class="button button-small mx-auto my-2 flex"
                    class:hidden=whole
                    on:click=move |_| all.set(true)
                >
                    {words}
                </button>
            }
            .into_any()
        }
    };
    let (file, folder) = match path.rsplit_once('/') {
        Some((folder, file)) => (file.to_owned(), format!("{folder}/")),
        None => (path.clone(), String::new()),
    };
    let ready = RwSignal::new(false);
    Effect::new(move |_| ready.set(true));
    let body_id = format!("patch-{seq}");
    view! {
        <article
            class="rounded-lg border border-line"
            class:opacity-60=move || out.get()
            data-testid="patch"
            data-path=path.clone()
        >
            <header class="flex items-center gap-2 rounded-t-lg bg-raised py-1 pr-3 pl-1.5 text-xs" class:rounded-b-lg=move || !open.get()>
                <button
                    type="button"
                    class="flex min-w-0 flex-1 items-center gap-1.5 rounded py-1 text-left"
                    aria-expanded=move || open.get().to_string()
                    aria-controls=body_id.clone()
                    on:click=move |_| {
                        // What failed is tried again.
                        if content.with_untracked(|content| matches!(content, Some(Err(_)))) {
                            asked.set_value(false);
                            content.set(None);
                        }
                        open.update(|open| *open = !*open);
                    }
                >
                    <span class="shrink-0 text-faint transition-transform" class=("-rotate-90", move || !open.get())>
                        {Icon::Fold.draw()}
                    </span>
                    <span class="min-w-0 truncate font-mono" title=plain(&path)>
                        <span class="text-soft">{visible(&folder)}</span>
                        <span class="font-semibold">{visible(&file)}</span>
                    </span>
                </button>
                {(fix == Some(FixSafety::Review)).then(|| view! { <span class="tag" data-tone="warn" data-testid="patch-fix">"review"</span> })}
                <span class="shrink-0 tabular-nums">
                    <span class="text-ok">{format!("+{added}")}</span>
                    " "
                    <span class="text-bad">{format!("−{removed}")}</span>
                </span>
                {move || (out.get() && !look.asks.get()).then(|| view! { <span class="tag">"left out"</span> })}
                <label
                    class="flex shrink-0 items-center gap-1.5 pl-1 noscript:hidden"
                    class:hidden=move || !look.asks.get()
                >
                    // Not before this page takes part: what is unticked earlier would be approved.
                    <input
                        type="checkbox"
                        class="check"
                        data-testid="include"
                        aria-label=format!("Apply the patch of {}", plain(&path))
                        disabled=move || !ready.get()
                        checked=!out.get_untracked()
                        prop:checked=move || !out.get()
                        on:change=move |event| {
                            look.left_out.set(std::iter::once(seq), !event_target_checked(&event));
                        }
                    />
                    "Apply"
                </label>
            </header>
            <div id=body_id>{body}</div>
        </article>
    }
}
