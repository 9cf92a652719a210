//! The log panel: header, list and detail.

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

/// How many lines the server renders.
const LINES_PER_PAGE: u64 = 200;

#[component]
pub fn ActivityPanel(
    id: RunId,
    follow: LiveRun,
    /// The first frame of the selected attempt, if that is an earlier one.
    first: Memo<Option<u64>>,
    /// The frame in the query of the address.
    linked: Memo<Option<u64>>,
    links: FrameLinks,
) -> impl IntoView {
    let scroll = Scroll::new(follow);
    follow_links(scroll, first, linked, links);
    let numbers = follow.stats;
    let count = Memo::new(move |_| numbers.get().last);
    let new_lines = move || numbers.get().last.saturating_sub(scroll.seen.get());
    view! {
        <section
            class="card relative flex min-h-[20rem] min-w-0 flex-1 flex-col overflow-hidden"
            aria-label="Log"
            data-testid="activity"
            data-frames=move || numbers.get().frames
            data-last=move || numbers.get().last
            data-dropped=move || numbers.get().dropped
            data-gaps=move || numbers.get().gaps
        >
            <PanelHeader id=id.clone() follow count/>
            <StaticNote id=id.clone() follow/>
            <div class="relative flex min-h-0 flex-1 flex-col">
                <FrameList follow scroll/>
                <Show when=move || count.get() == 0>
                    <p class="pointer-events-none absolute inset-x-0 top-1/3 px-6 text-center text-sm text-faint">
                        "No output yet. Lines appear here once the run starts."
                    </p>
                </Show>
                <Show when=move || follow.load_state.get() == LoadState::Failed>
                    <div
                        class="absolute inset-x-0 top-3 z-10 mx-auto flex w-fit max-w-[90%] items-center gap-3 rounded-lg border border-line bg-panel py-1.5 pr-1.5 pl-3 text-sm shadow-lg"
                        role="alert"
                        data-testid="rows-failed"
                    >
                        "Couldn't load these lines."
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
                        {move || match new_lines() {
                            0 => "Jump to latest".to_owned(),
                            count => format!("Jump to latest · {} new", format::count(count)),
                        }}
                    </button>
                </Show>
            </div>
            <FrameDetail follow scroll/>
        </section>
    }
}

/// Scrolls to the frame of a link, and to the beginning of the selected attempt.
fn follow_links(scroll: Scroll, first: Memo<Option<u64>>, linked: Memo<Option<u64>>, links: FrameLinks) {
    Effect::new(move |before: Option<Option<u64>>| {
        let linked = linked.get();
        // The fragment of the address wins at first: it names the row that was marked last.
        let is_new = before.map_or_else(|| hash_seq().is_none(), |before| before != linked);
        if let Some(seq) = linked.filter(|_| is_new) {
            scroll.open(seq);
        }
        linked
    });
    Effect::new(move |_| {
        if let Some(seq) = links.clicked.get() {
            scroll.open(seq);
        }
    });
    Effect::new(move |before: Option<Option<u64>>| {
        let first = first.get();
        match first {
            Some(seq) if before != Some(first) => scroll.start_at(seq),
            None if before.flatten().is_some() && linked.get_untracked().is_none() => scroll.to_newest(),
            _ => {}
        }
        first
    });
}

#[component]
fn PanelHeader(id: RunId, follow: LiveRun, count: Memo<u64>) -> impl IntoView {
    view! {
        <header class="z-10 flex h-11 shrink-0 items-center gap-2 border-b border-line bg-panel pr-2 pl-4">
            <h2 class="text-sm font-semibold">"Log"</h2>
            <span class="truncate text-xs text-faint tabular-nums">{move || format::counted(count.get(), "line")}</span>
            <div class="ml-auto flex items-center gap-1">
                <ConnectionChip link=follow.connection role=follow.role/>
                <a
                    class="button button-icon button-small"
                    href=base::path(&format!("/api/v1/runs/{id}/log"))
                    rel="external"
                    download=""
                    title="Download log"
                    aria-label="Download log"
                >
                    {Icon::Document.draw()}
                </a>
            </div>
        </header>
    }
}

/// Without JavaScript: links to older and newer lines, a page at a time.
#[component]
fn StaticNote(id: RunId, follow: LiveRun) -> impl IntoView {
    let last = follow.stats.with_untracked(|numbers| numbers.last);
    let (first, end) = follow.rendered;
    let page = |at: u64, text: &'static str| {
        view! { <a class="text-accent underline underline-offset-2" href=base::path(&format!("/runs/{id}?at={at}"))>{text}</a>" " }
    };
    // A quarter of the lines that the server renders precede the requested one.
    let older =
        (first > 1 && end > first).then(|| page(first.saturating_sub(LINES_PER_PAGE * 3 / 4).max(1), "Older lines"));
    let newer = (end <= last && end > first).then(|| page(end + LINES_PER_PAGE / 4, "Newer lines"));
    let range = match end.saturating_sub(first) {
        0 if last > 0 => "The latest lines are too large to show here. Download the log instead. ".to_owned(),
        shown if shown < last => {
            format!("Lines {} to {} of {}. ", format::count(first), format::count(end - 1), format::count(last))
        }
        _ => String::new(),
    };
    view! {
        <p class="hidden border-b border-line bg-raised px-4 py-1.5 text-xs text-soft noscript:block">
            {range}
            {older}
            {newer}
            "JavaScript is off. Reload to see new lines."
        </p>
    }
}
