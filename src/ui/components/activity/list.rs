//! The virtual list of frames: only rows in view are in the document.

use leptos::either::Either;
use leptos::ev;
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use leptos::web_sys::Element;

use super::row::{AbsentRow, FrameRow};
use super::scroll::Scroll;
use crate::browser::{self, PageEvent, PageEvents};
use crate::ui::clock::Clock;
use crate::ui::follow::LiveRun;

#[component]
pub fn FrameList(follow: LiveRun, scroll: Scroll) -> impl IntoView {
    let clock = Clock::from_context();
    Effect::new(move |_| scroll.mounted());
    Effect::new(move |_| {
        follow.stats.track();
        follow.track();
        scroll.layout();
    });
    Effect::new(move |_| {
        let listener = PageEvents::listen(move |event| {
            if event == PageEvent::Hash {
                scroll.go_to_hash();
            }
        });
        StoredValue::new_local(listener);
    });

    view! {
        <div
            class="log scrollbar-thin min-h-0 flex-1 py-1 -outline-offset-2"
            role="log"
            aria-live="off"
            aria-label="Run log"
            tabindex="0"
            node_ref=scroll.scroller
            on:scroll=move |_| scroll.on_scroll()
            on:keydown=move |event| on_key(scroll, &event)
        >
            <div class="log-space" node_ref=scroll.space>
                <div node_ref=scroll.block on:click=move |event| on_click(scroll, &event)>
                    // The key makes all rows new when times become local, which is cheaper than a signal per row.
                    <For
                        each=move || {
                            let local = clock.is_local();
                            scroll.drawn.get().into_iter().map(move |row| (row, local))
                        }
                        key=|(row, local)| (row.key(), *local)
                        let((row, _))
                    >
                        {match row.frame {
                            Some(frame) => Either::Left(view! { <FrameRow seq=row.seq frame marked=scroll.marked follow/> }),
                            None => Either::Right(view! { <AbsentRow seq=row.seq marked=scroll.marked/> }),
                        }}
                    </For>
                </div>
            </div>
        </div>
    }
}

/// Marks the row that was clicked, or unmarks it. One listener for all rows, since they are added and removed by the
/// thousand.
fn on_click(scroll: Scroll, event: &ev::MouseEvent) {
    let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
    let within = |selector| target.as_ref().and_then(|target| target.closest(selector).ok().flatten());
    let seq = within("[data-frame-id]").and_then(|row| row.get_attribute("data-frame-id")?.parse::<u64>().ok());
    let modified = event.ctrl_key() || event.meta_key() || event.shift_key();
    // Links that a command printed work as links.
    if seq.is_none() || modified || within(".log-link").is_some() {
        return;
    }
    if within("a").is_some() {
        event.prevent_default();
    } else if browser::has_selection() {
        return;
    }
    let is_marked = scroll.marked.get_untracked() == seq;
    scroll.mark(seq.filter(|_| !is_marked));
}

fn on_key(scroll: Scroll, event: &ev::KeyboardEvent) {
    if event.ctrl_key() || event.meta_key() || event.alt_key() || event.shift_key() {
        return;
    }
    let is_marked = scroll.marked.get_untracked().is_some();
    match event.key().as_str() {
        "ArrowDown" if is_marked => scroll.mark_next(true),
        "ArrowUp" if is_marked => scroll.mark_next(false),
        "Escape" if is_marked => scroll.mark(None),
        "Home" => scroll.to_first(),
        "End" => scroll.to_newest(),
        _ => return,
    }
    event.prevent_default();
}
