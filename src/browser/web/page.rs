//! Events of the page as a whole: visibility, navigation, network.

use std::rc::Rc;

use wasm_bindgen::JsCast;
use web_sys::{PageTransitionEvent, VisibilityState};

use super::listener::Listener;
use crate::feed::PageEvent;

/// Listens to page events until dropped.
#[derive(Debug)]
pub struct PageEvents {
    _listeners: Vec<Listener>,
}

impl PageEvents {
    /// Calls `on_event` for each event.
    pub fn listen(on_event: impl Fn(PageEvent) + 'static) -> Self {
        let Some(window) = web_sys::window() else { return Self { _listeners: Vec::new() } };
        let on_event = Rc::new(on_event);
        let mut listeners = Vec::new();
        if let Some(document) = window.document() {
            // `resume`: the browser had frozen the page, and what it shows is outdated.
            for name in ["resume", "visibilitychange"] {
                let on_event = Rc::clone(&on_event);
                listeners.push(Listener::on(&document, name, move |_| {
                    on_event(if is_visible() { PageEvent::Visible } else { PageEvent::Hidden });
                }));
            }
        }
        for (name, event) in [
            ("focus", PageEvent::Visible),
            ("pagehide", PageEvent::Left),
            ("online", PageEvent::Online),
            ("offline", PageEvent::Offline),
            ("hashchange", PageEvent::Hash),
        ] {
            let on_event = Rc::clone(&on_event);
            listeners.push(Listener::on(&window, name, move |_| on_event(event)));
        }
        listeners.push(Listener::on(&window, "pageshow", move |event| {
            if event.dyn_ref::<PageTransitionEvent>().is_some_and(PageTransitionEvent::persisted) {
                on_event(PageEvent::Returned);
            }
        }));
        Self { _listeners: listeners }
    }
}

/// Whether the page is visible.
pub fn is_visible() -> bool {
    let document = web_sys::window().and_then(|window| window.document());
    document.is_none_or(|document| document.visibility_state() == VisibilityState::Visible)
}
