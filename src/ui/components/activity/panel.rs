//! The panel: what it holds in numbers, the list, and the row one looks at.

use leptos::prelude::*;

use super::detail::FrameDetail;
use super::list::FrameList;
use super::scroll::Scroll;
use crate::base;
use crate::model::RunId;
use crate::ui::components::connection::ConnectionChip;
use crate::ui::components::icon::Icon;
use crate::ui::follow::Follow;
use crate::ui::format;

/// The Activity panel.
#[component]
pub fn ActivityPanel(
    /// The run.
    id: RunId,
    /// Its page.
    follow: Follow,
    /// The frame that the list is to begin with, if one looks at an earlier attempt.
    at: Memo<Option<u64>>,
) -> impl IntoView {
    let scroll = Scroll::new(follow);
    Effect::new(move |before: Option<Option<u64>>| {
        let at = at.get();
        match at {
            Some(seq) if before != Some(at) => scroll.begin_with(seq),
            None if before.flatten().is_some() => scroll.to_newest(),
            _ => {}
        }
        at
    });
    let numbers = follow.numbers;
    let count = Memo::new(move |_| numbers.get().last);
    let newer = move || numbers.get().last.saturating_sub(scroll.seen.get());
    let older = Memo::new(move |_| numbers.get().first > 1);
    view! {
        <section
            class="card relative flex min-h-[20rem] min-w-0 flex-1 flex-col overflow-hidden"
            aria-label="Activity"
            data-testid="activity"
            data-frames=move || numbers.get().frames
            data-last=move || numbers.get().last
            data-dropped=move || numbers.get().dropped
            data-gaps=move || numbers.get().gaps
        >
            <header class="z-10 flex h-11 shrink-0 items-center gap-2 border-b border-line bg-panel pr-2 pl-4">
                <h2 class="text-sm font-semibold">"Activity"</h2>
                <span class="truncate text-xs text-faint tabular-nums">
                    {move || format::counted(count.get(), "frame")}
                </span>
                <div class="ml-auto flex items-center gap-1">
                    <ConnectionChip link=follow.link role=follow.role/>
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
            <p class="hidden border-b border-line bg-raised px-4 py-1.5 text-xs text-soft noscript:block">
                {move || if older.get() { "These are the newest lines. " } else { "" }}
                "Without scripts this page stays as it is; load it again to see what is new."
            </p>
            <div class="relative flex min-h-0 flex-1 flex-col">
                <FrameList follow scroll/>
                <Show when=move || count.get() == 0>
                    <p class="pointer-events-none absolute inset-x-0 top-1/3 px-6 text-center text-sm text-faint">
                        "Nothing yet. The first lines appear here as soon as a worker takes the run."
                    </p>
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
