//! A patch: its header with the checkbox that includes it, and its diff, which is loaded when it is expanded.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::diff;
use super::patches::PatchListState;
use crate::browser::{Timer, show_element};
use crate::calls::read_patch;
use crate::model::kinds::FixSafety;
use crate::model::patch_view::PatchView;
use crate::model::review::{PatchContent, PatchEntry};
use crate::model::visible::{directions, plain};
use crate::model::{Problem, RunId};
use crate::ui::components::icon::Icon;
use crate::ui::components::invisible::{direction_warning, mark_invisible};
use crate::ui::components::load_error::LoadError;
use crate::ui::format;
use crate::ui::scoped_handle::ScopedHandle;

/// How many lines of a diff are drawn before "Show all".
const MAX_LINES: usize = 1500;

/// The diff of a card.
#[derive(Clone, Copy)]
struct Content {
    loaded: RwSignal<Option<Result<PatchContent, Problem>>>,
    is_requested: StoredValue<bool>,
}

impl Content {
    /// Lets the diff be requested again.
    fn reset(self) {
        self.is_requested.set_value(false);
        self.loaded.set(None);
    }
}

#[component]
pub fn PatchCard(id: RunId, patch: PatchEntry, list: PatchListState) -> impl IntoView {
    let PatchEntry { seq, path, added, removed, fix, shown } = patch;
    let linked = Memo::new(move |_| list.linked.get().filter(|(at, _)| *at == seq).map(|(_, line)| line));
    let is_open = RwSignal::new(shown.is_some() || linked.get_untracked().is_some());
    let content = Content { loaded: RwSignal::new(shown.map(Ok)), is_requested: StoredValue::new(false) };
    Effect::new(move |_| {
        if linked.get().is_some() {
            is_open.set(true);
        }
    });
    Effect::new(move |_| {
        if !is_open.get() || content.loaded.with(Option::is_some) || content.is_requested.get_value() {
            return;
        }
        content.is_requested.set_value(true);
        let id = id.to_string();
        spawn_local(async move {
            content.loaded.try_set(Some(read_patch(id, seq).await));
        });
    });
    let is_excluded = {
        let path = path.clone();
        Memo::new(move |_| match list.needs_approval.get() {
            true => list.exclusions.contains(seq),
            false => list.excluded.with(|excluded| excluded.contains(&path)),
        })
    };
    let body_id = format!("patch-{seq}");
    view! {
        <article
            class="rounded-lg border border-line"
            class:opacity-60=move || is_excluded.get()
            data-testid="patch"
            data-path=path.clone()
        >
            <header class="flex items-center gap-2 rounded-t-lg bg-raised py-1 pr-3 pl-1.5 text-xs" class:rounded-b-lg=move || !is_open.get()>
                <ExpandButton path=path.clone() is_open content body_id=body_id.clone()/>
                {(fix == Some(FixSafety::Review)).then(|| view! { <span class="tag" data-tone="warn" data-testid="patch-fix">"review"</span> })}
                <span class="shrink-0 tabular-nums">
                    <span class="text-ok">{format!("+{added}")}</span>
                    " "
                    <span class="text-bad">{format!("−{removed}")}</span>
                </span>
                {move || (is_excluded.get() && !list.needs_approval.get()).then(|| view! { <span class="tag">"excluded"</span> })}
                <IncludeCheckbox seq path=path.clone() list is_excluded/>
            </header>
            <div id=body_id><PatchBody seq list linked is_open content/></div>
        </article>
    }
}

#[component]
fn ExpandButton(path: String, is_open: RwSignal<bool>, content: Content, body_id: String) -> impl IntoView {
    let (file, folder) = match path.rsplit_once('/') {
        Some((folder, file)) => (file.to_owned(), format!("{folder}/")),
        None => (path.clone(), String::new()),
    };
    let toggle = move |_| {
        // Expanding again retries what failed.
        if content.loaded.with_untracked(|loaded| matches!(loaded, Some(Err(_)))) {
            content.reset();
        }
        is_open.update(|is_open| *is_open = !*is_open);
    };
    view! {
        <button
            type="button"
            class="flex min-w-0 flex-1 items-center gap-1.5 rounded py-1 text-left"
            aria-expanded=move || is_open.get().to_string()
            aria-controls=body_id
            on:click=toggle
        >
            <span class="shrink-0 text-faint transition-transform" class=("-rotate-90", move || !is_open.get())>
                {Icon::Fold.draw()}
            </span>
            <span class="min-w-0 truncate font-mono" title=plain(&path)>
                <span class="text-soft">{mark_invisible(&folder)}</span>
                <span class="font-semibold">{mark_invisible(&file)}</span>
            </span>
        </button>
    }
}

#[component]
fn IncludeCheckbox(seq: u64, path: String, list: PatchListState, is_excluded: Memo<bool>) -> impl IntoView {
    let is_hydrated = RwSignal::new(false);
    Effect::new(move |_| is_hydrated.set(true));
    view! {
        <label
            class="flex shrink-0 items-center gap-1.5 pl-1 noscript:hidden"
            class:hidden=move || !list.needs_approval.get()
        >
            // Disabled until hydration: a patch that is excluded earlier would be approved.
            <input
                type="checkbox"
                class="check"
                data-testid="include"
                aria-label=format!("Include changes to {}", plain(&path))
                disabled=move || !is_hydrated.get()
                checked=!is_excluded.get_untracked()
                prop:checked=move || !is_excluded.get()
                on:change=move |event| {
                    list.exclusions.set(std::iter::once(seq), !event_target_checked(&event));
                }
            />
            "Include"
        </label>
    }
}

#[component]
fn PatchBody(
    seq: u64,
    list: PatchListState,
    /// The line that the link in the address leads to.
    linked: Memo<Option<u64>>,
    is_open: RwSignal<bool>,
    content: Content,
) -> impl IntoView {
    let show_all = RwSignal::new(false);
    let marked = Memo::new(move |_| {
        let line = linked.get()?;
        content.loaded.with(|loaded| match loaded {
            Some(Ok(PatchContent::View(view))) => diff::nearest(view, line),
            _ => None,
        })
    });
    // In the next turn of the event loop, when the line is drawn.
    let scroll = ScopedHandle::new();
    Effect::new(move |_| {
        if let Some(line) = marked.get() {
            scroll.replace(Timer::after(0, move || show_element(&diff::row_id(seq, line))));
        }
    });
    let retry = Callback::new(move |()| content.reset());
    move || match content.loaded.get() {
        _ if !is_open.get() => ().into_any(),
        None => view! { <p class="px-4 py-3 text-xs text-faint">"Loading…"</p> }.into_any(),
        Some(Err(problem)) => view! { <div class="p-3"><LoadError problem retry/></div> }.into_any(),
        Some(Ok(PatchContent::Text(text))) => {
            let warning = direction_warning(directions([text.as_str()]));
            view! { {warning}<pre class="overflow-x-auto px-4 py-3 font-mono text-xs">{mark_invisible(&text)}</pre> }
                .into_any()
        }
        Some(Ok(PatchContent::View(view))) => {
            // A link to a line that is not drawn draws all of them.
            let limit = if show_all.get() || marked.get().is_some() { usize::MAX } else { MAX_LINES };
            diff_view(seq, &view, list.split.get(), limit, show_all).into_any()
        }
    }
}

fn diff_view(seq: u64, view: &PatchView, split: bool, limit: usize, show_all: RwSignal<bool>) -> impl IntoView + use<> {
    let lines = view.hunks.iter().map(|hunk| hunk.lines.len()).sum::<usize>();
    let is_complete = limit >= lines;
    let pieces = view.hunks.iter().flat_map(|hunk| &hunk.lines).flat_map(|line| &line.spans);
    let warning = direction_warning(directions(pieces.map(|piece| piece.text.as_str()).chain([view.path.as_str()])));
    view! {
        {warning}
        <div class="overflow-x-auto">{diff::draw(seq, view, split, limit)}</div>
        <button
            type="button"
            class="button button-small mx-auto my-2 flex"
            class:hidden=is_complete
            on:click=move |_| show_all.set(true)
        >
            {format!("Show all {}", format::counted(lines as u64, "line"))}
        </button>
    }
}
