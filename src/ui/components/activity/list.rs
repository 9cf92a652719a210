//! The list of frames: only the rows in view are drawn.

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

/// The list.
#[component]
pub fn FrameList(
    /// The run's page.
    follow: LiveRun,
    /// The list's state.
    scroll: Scroll,
) -> impl IntoView {
    let clock = Clock::of_page();
    Effect::new(move |_| scroll.mounted());
    Effect::new(move |_| {
        follow.stats.track();
        follow.track();
        scroll.layout();
    });
    Effect::new(move |_| {
        let listening = PageEvents::listen(move |event| {
            if event == PageEvent::Hash {
                scroll.go_to_hash();
            }
        });
        StoredValue::new_local(listening);
    });

    // One listener for all rows: rows come and go by the thousand.
    let on_click = move |event: ev::MouseEvent| {
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let row = target.as_ref().and_then(|target| target.closest("[data-frame-id]").ok().flatten());
        let seq = row.and_then(|row| row.get_attribute("data-frame-id")?.parse::<u64>().ok());
        // A link that a command has printed leads away.
        if target.as_ref().is_some_and(|target| target.closest(".log-link").is_ok_and(|link| link.is_some())) {
            return;
        }
        let modified = event.ctrl_key() || event.meta_key() || event.shift_key();
        if seq.is_none() || modified {
            return;
        }
        if target.is_some_and(|target| target.closest("a").is_ok_and(|link| link.is_some())) {
            event.prevent_default();
        } else if browser::has_selection() {
            return;
        }
        let again = scroll.marked.get_untracked() == seq;
        scroll.mark(seq.filter(|_| !again));
    };
    let on_key = move |event: ev::KeyboardEvent| {
        let modified = event.ctrl_key() || event.meta_key() || event.alt_key() || event.shift_key();
        let handled = match event.key().as_str() {
            _ if modified => false,
            "ArrowDown" if scroll.marked.get_untracked().is_some() => {
                scroll.mark_next(true);
                true
            }
            "ArrowUp" if scroll.marked.get_untracked().is_some() => {
                scroll.mark_next(false);
                true
            }
            "Escape" if scroll.marked.get_untracked().is_some() => {
                scroll.mark(None);
                true
            }
            "Home" => {
                scroll.to_first();
                true
            }
            "End" => {
                scroll.to_newest();
                true
            }
            _ => false,
        };
        if handled {
            event.prevent_default();
        }
    };
    view! {
        <div
            class="log scrollbar-thin min-h-0 flex-1 py-1 -outline-offset-2"
            role="log"
            aria-live="off"
            aria-label="Frames of this run"
            tabindex="0"
            node_ref=scroll.scroller
            on:scroll=move |_| scroll.scrolled()
            on:keydown=on_key
        >
            <div class="log-space" node_ref=scroll.space>
                <div node_ref=scroll.block on:click=on_click>
                    // When times become local, rows are drawn anew: cheaper than a signal for each row.
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
