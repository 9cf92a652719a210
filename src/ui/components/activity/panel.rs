//! The panel: its counts, the list, and the row one looks at.

use leptos::prelude::*;

use super::detail::FrameDetail;
use super::link::FrameLinks;
use super::list::FrameList;
use super::scroll::{Scroll, hash_seq};
use crate::base;
use crate::feed::rows::LoadState;
use crate::model::RunId;
use crate::ui::components::connection::ConnectionChip;
use crate::ui::components::icon::Icon;
use crate::ui::follow::LiveRun;
use crate::ui::format;

/// The lines that the server renders.
const PAGE: u64 = 200;

/// The Activity panel.
#[component]
pub fn ActivityPanel(
    /// The run.
    id: RunId,
    /// Its page.
    follow: LiveRun,
    /// The frame that the list is to begin with, if one looks at an earlier attempt.
    at: Memo<Option<u64>>,
    /// The frame that the address asks for.
    linked: Memo<Option<u64>>,
    /// Links to frames elsewhere on the page.
    links: FrameLinks,
) -> impl IntoView {
    let scroll = Scroll::new(follow);
    Effect::new(move |before: Option<Option<u64>>| {
        let linked = linked.get();
        // The part after `#` names the marked row, which may be another one by now.
        let is_news = before.map_or_else(|| hash_seq().is_none(), |before| before != linked);
        if let Some(seq) = linked.filter(|_| is_news) {
            scroll.open(seq);
        }
        linked
    });
    Effect::new(move |_| {
        if let Some(seq) = links.pressed.get() {
            scroll.open(seq);
        }
    });
    Effect::new(move |before: Option<Option<u64>>| {
        let at = at.get();
        match at {
            Some(seq) if before != Some(at) => scroll.begin_with(seq),
            None if before.flatten().is_some() && linked.get_untracked().is_none() => scroll.to_newest(),
            _ => {}
        }
        at
    });
    let stats = follow.stats;
    let count = Memo::new(move |_| stats.get().last);
    let newer = move || stats.get().last.saturating_sub(scroll.seen.get());
    view! {
        <section
            class="card relative flex min-h-[20rem] min-w-0 flex-1 flex-col overflow-hidden"
            aria-label="Activity"
            data-testid="activity"
            data-frames=move || stats.get().frames
            data-last=move || stats.get().last
            data-dropped=move || stats.get().dropped
            data-gaps=move || stats.get().gaps
        >
            <header class="z-10 flex h-11 shrink-0 items-center gap-2 border-b border-line bg-panel pr-2 pl-4">
                <h2 class="text-sm font-semibold">"Activity"</h2>
                <span class="truncate text-xs text-faint tabular-nums">
                    {move || format::counted(count.get(), "frame")}
                </span>
                <div class="ml-auto flex items-center gap-1">
                    <ConnectionChip link=follow.connection role=follow.role/>
                    <a
                        class="button button-icon button-small"
                        href=base::path(&format!("/api/v1/runs/{id}/log"))
                        rel="external"
                        title="The whole log as text"
                        aria-label="The whole log as text"
                    >
                        {Icon::Text.draw()}
                    </a>
                </div>
            </header>
            <StaticNote id=id.clone() follow/>
            <div class="relative flex min-h-0 flex-1 flex-col">
                <FrameList follow scroll/>
                <Show when=move || count.get() == 0>
                    <p class="pointer-events-none absolute inset-x-0 top-1/3 px-6 text-center text-sm text-faint">
                        "Nothing yet. The first lines appear here as soon as a worker takes the run."
                    </p>
                </Show>
                <Show when=move || follow.load_state.get() == LoadState::Failed>
                    <div
                        class="absolute inset-x-0 top-3 z-10 mx-auto flex w-fit max-w-[90%] items-center gap-3 rounded-lg border border-line bg-panel py-1.5 pr-1.5 pl-3 text-sm shadow-lg"
                        role="alert"
                        data-testid="rows-failed"
                    >
                        "These lines could not be loaded."
                        <button
                            type="button"
                            class="button button-small"
                            data-testid="rows-retry"
                            on:click=move |_| follow.retry_loads()
                        >
                            "Try again"
                        </button>
                    </div>
                </Show>
                <Show when=move || !scroll.following.get()>
                    <button
                        type="button"
                        class="button button-small absolute bottom-3 left-1/2 z-10 -translate-x-1/2 rounded-full shadow-lg"
                        on:click=move |_| scroll.to_newest()
                    >
                        {Icon::Down.draw()}
                        {move || match newer() {
                            0 => "Jump to newest".to_owned(),
                            newer => format!("Jump to newest · {} new", format::count(newer)),
                        }}
                    </button>
                </Show>
            </div>
            <FrameDetail follow scroll/>
        </section>
    }
}

/// What a reader without scripts can do: go through the lines a page at a time.
#[component]
fn StaticNote(id: RunId, follow: LiveRun) -> impl IntoView {
    let last = follow.stats.with_untracked(|stats| stats.last);
    let (first, end) = follow.rendered;
    let page = |at: u64, words: &'static str| {
        view! { <a class="text-accent underline underline-offset-2" href=base::path(&format!("/runs/{id}?at={at}"))>{words}</a>" " }
    };
    // As the server renders: a quarter of the lines come before the one that is asked for.
    let older = (first > 1 && end > first).then(|| page(first.saturating_sub(PAGE * 3 / 4).max(1), "Older lines"));
    let newer = (end <= last && end > first).then(|| page(end + PAGE / 4, "Newer lines"));
    let which = match end.saturating_sub(first) {
        0 if last > 0 => "The newest lines are too large for this page: see the whole log as text. ".to_owned(),
        shown if shown < last => {
            format!("Lines {} to {} of {}. ", format::count(first), format::count(end - 1), format::count(last))
        }
        _ => String::new(),
    };
    view! {
        <p class="hidden border-b border-line bg-raised px-4 py-1.5 text-xs text-soft noscript:block">
            {which}
            {older}
            {newer}
            "Without scripts this page stays as it is; load it again to see what is new."
        </p>
    }
}
