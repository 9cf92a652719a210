//! What becomes of the page as a whole: seen, hidden, left, shown again, with and without network.

use wasm_bindgen::JsCast;
use web_sys::{PageTransitionEvent, VisibilityState};

use super::Listener;

/// What happened to the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageEvent {
    /// Somebody looks at the page.
    Visible,
    /// Nobody sees the page.
    Hidden,
    /// The page is left; the browser may keep it for a return.
    Left,
    /// The page was kept and is shown again.
    Returned,
    /// The browser has network again.
    Online,
    /// The browser has no network.
    Offline,
    /// The part of the address after `#` changed.
    Hash,
}

/// Tells of page events until dropped.
#[derive(Debug)]
pub struct PageEvents {
    _listeners: Vec<Listener>,
}

impl PageEvents {
    /// Calls `told` for each event.
    pub fn listen(told: impl Fn(PageEvent) + 'static) -> Self {
        let Some(window) = web_sys::window() else { return Self { _listeners: Vec::new() } };
        let told = std::rc::Rc::new(told);
        let mut listeners = Vec::new();
        if let Some(document) = window.document() {
            let told = told.clone();
            listeners.push(Listener::on(&document, "resume", {
                let told = told.clone();
                // It was frozen and is not any more; what it shows is as old as if nobody had looked.
                move |_| told(if is_visible() { PageEvent::Visible } else { PageEvent::Hidden })
            }));
            listeners.push(Listener::on(&document, "visibilitychange", move |_| {
                told(if is_visible() { PageEvent::Visible } else { PageEvent::Hidden });
            }));
        }
        for (name, event) in [
            ("focus", PageEvent::Visible),
            ("pagehide", PageEvent::Left),
            ("online", PageEvent::Online),
            ("offline", PageEvent::Offline),
            ("hashchange", PageEvent::Hash),
        ] {
            let told = told.clone();
            listeners.push(Listener::on(&window, name, move |_| told(event)));
        }
        listeners.push(Listener::on(&window, "pageshow", move |event| {
            if event.dyn_ref::<PageTransitionEvent>().is_some_and(PageTransitionEvent::persisted) {
                told(PageEvent::Returned);
            }
        }));
        Self { _listeners: listeners }
    }
}

/// Whether somebody may see the page.
pub fn is_visible() -> bool {
    let document = web_sys::window().and_then(|window| window.document());
    document.is_none_or(|document| document.visibility_state() == VisibilityState::Visible)
}
