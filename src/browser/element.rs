//! Elements: sizes that change, styles set through the object model. The page's policy forbids them in the markup.

use js_sys::Array;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{HtmlElement, ResizeObserver};

/// Sets a property of the element's own style.
pub fn set_style(element: &HtmlElement, property: &str, value: &str) {
    // Fails only for an element whose style is read-only, which none of ours has.
    let _ = element.style().set_property(property, value);
}

/// Brings the element of this id into view, if there is one, and marks it for a moment.
pub fn show_element(id: &str) {
    let document = web_sys::window().and_then(|window| window.document());
    let Some(element) = document.and_then(|document| document.get_element_by_id(id)) else { return };
    let options = web_sys::ScrollIntoViewOptions::new();
    options.set_block(web_sys::ScrollLogicalPosition::Center);
    element.scroll_into_view_with_scroll_into_view_options(&options);
    // An animation of the style sheet; set anew, it runs anew.
    let _ = element.remove_attribute("data-shown");
    let _ = element.set_attribute("data-shown", "");
}

/// Whether the reader has just selected some text.
pub fn has_selection() -> bool {
    let selection = web_sys::window().and_then(|window| window.get_selection().ok().flatten());
    selection.is_some_and(|selection| !selection.is_collapsed())
}

/// Tells of changes of an element's size, until dropped.
#[derive(Debug)]
pub struct ResizeListener {
    observer: ResizeObserver,
    _told: Closure<dyn Fn(Array)>,
}

impl ResizeListener {
    /// Calls `told` whenever the element's size changed, and once at the beginning.
    pub fn watch(element: &HtmlElement, told: impl Fn() + 'static) -> Option<Self> {
        let told = Closure::<dyn Fn(Array)>::new(move |_| told());
        let observer = ResizeObserver::new(told.as_ref().unchecked_ref()).ok()?;
        observer.observe(element);
        Some(Self { observer, _told: told })
    }
}

impl Drop for ResizeListener {
    fn drop(&mut self) {
        self.observer.disconnect();
    }
}
