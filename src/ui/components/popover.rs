//! Folds that lie over the page.

use leptos::html;
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use leptos::web_sys::{Event, HtmlElement, Node};

/// A fold that closes when somebody turns away from it: by Escape, by a press elsewhere, or with the focus. Where no script runs it is
/// a plain fold.
#[derive(Clone, Copy)]
pub struct Popover {
    /// The fold; its first child is its summary.
    pub fold: NodeRef<html::Details>,
}

impl Popover {
    /// One that listens until its owner is gone.
    pub fn new() -> Self {
        let popover = Self { fold: NodeRef::new() };
        Effect::new(move |_| {
            let handles = [
                window_event_listener(leptos::ev::pointerdown, move |event| popover.turned_to(&event)),
                window_event_listener(leptos::ev::focusin, move |event| popover.turned_to(&event)),
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

    /// Closes it. What had the focus in it is not there any more, so the summary has it.
    pub fn close(self) {
        let Some(fold) = self.fold.get_untracked().filter(|fold| fold.open()) else { return };
        let inside = fold.contains(document().active_element().as_deref());
        fold.set_open(false);
        if let Some(summary) = fold.first_element_child().and_then(|child| child.dyn_into::<HtmlElement>().ok())
            && inside
        {
            let _ = summary.focus();
        }
    }

    fn turned_to(self, event: &Event) {
        let Some(fold) = self.fold.get_untracked() else { return };
        let to = event.target().and_then(|to| to.dyn_into::<Node>().ok());
        if fold.open() && !fold.contains(to.as_ref()) {
            fold.set_open(false);
        }
    }
}
