//! An event listener that is removed when it is dropped.

use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Event, EventTarget};

/// Listens until dropped.
#[derive(Debug)]
pub struct Listener {
    target: EventTarget,
    name: &'static str,
    on_event: Closure<dyn Fn(Event)>,
}

impl Listener {
    /// Calls `on_event` for each event with this name.
    pub fn on(target: &EventTarget, name: &'static str, on_event: impl Fn(Event) + 'static) -> Self {
        let on_event = Closure::<dyn Fn(Event)>::new(on_event);
        // Fails only for an object that is no event target, which the type rules out.
        let _ = target.add_event_listener_with_callback(name, on_event.as_ref().unchecked_ref());
        Self { target: target.clone(), name, on_event }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.target.remove_event_listener_with_callback(self.name, self.on_event.as_ref().unchecked_ref());
    }
}
