//! Popovers made of a `<details>` element.

use leptos::html;
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use leptos::web_sys::{Event, HtmlElement, Node};

/// A `<details>` element that closes on Escape, on a click outside and when the focus leaves it. Without JavaScript it
/// only opens and closes.
#[derive(Clone, Copy)]
pub struct Popover {
    /// Its first child must be the `<summary>`.
    pub details: NodeRef<html::Details>,
}

impl Popover {
    pub fn new() -> Self {
        let popover = Self { details: NodeRef::new() };
        Effect::new(move |_| {
            let handles = [
                window_event_listener(leptos::ev::pointerdown, move |event| popover.close_if_outside(&event)),
                window_event_listener(leptos::ev::focusin, move |event| popover.close_if_outside(&event)),
                window_event_listener(leptos::ev::keydown, move |event| {
                    if event.key() == "Escape" {
                        popover.close();
                    }
                }),
            ];
            on_cleanup(move || handles.into_iter().for_each(WindowListenerHandle::remove));
        });
        popover
    }

    /// Closes it. If the focus was inside, it moves to the summary.
    pub fn close(self) {
        let Some(details) = self.details.get_untracked().filter(|details| details.open()) else { return };
        let had_focus = details.contains(document().active_element().as_deref());
        details.set_open(false);
        if let Some(summary) = details.first_element_child().and_then(|child| child.dyn_into::<HtmlElement>().ok())
            && had_focus
        {
            let _ = summary.focus();
        }
    }

    fn close_if_outside(self, event: &Event) {
        let Some(details) = self.details.get_untracked() else { return };
        let target = event.target().and_then(|target| target.dyn_into::<Node>().ok());
        if details.open() && !details.contains(target.as_ref()) {
            details.set_open(false);
        }
    }
}
