//! Folds that lie over the page.

use leptos::html;
use leptos::prelude::*;
use leptos::wasm_bindgen::JsCast;
use leptos::web_sys::{Event, HtmlElement, Node};

/// Closes the fold when somebody turns away from it: by Escape, by a click elsewhere, or with the focus. Where no script runs it is a
/// plain fold.
pub fn dismissible(fold: NodeRef<html::Details>) {
    let turned_away = move |event: &Event| {
        let Some(fold) = fold.get_untracked() else { return };
        let to = event.target().and_then(|to| to.dyn_into::<Node>().ok());
        if fold.open() && !fold.contains(to.as_ref()) {
            fold.set_open(false);
        }
    };
    let escaped = move || {
        let Some(fold) = fold.get_untracked().filter(|fold| fold.open()) else { return };
        let inside = fold.contains(document().active_element().as_deref());
        fold.set_open(false);
        // What had the focus is not there any more.
        if let Some(summary) = fold.first_element_child().and_then(|child| child.dyn_into::<HtmlElement>().ok())
            && inside
        {
            let _ = summary.focus();
        }
    };
    Effect::new(move |_| {
        let handles = [
            window_event_listener(leptos::ev::click, move |event| turned_away(&event)),
            window_event_listener(leptos::ev::focusin, move |event| turned_away(&event)),
            window_event_listener(leptos::ev::keydown, move |event| {
                if event.key() == "Escape" {
                    escaped();
                }
            }),
        ];
        on_cleanup(move || handles.into_iter().for_each(WindowListenerHandle::remove));
    });
}
