//! Elements: sizes, selection, and styles set through the object model, since the page's policy forbids them in the
//! markup.

use js_sys::Array;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{HtmlElement, ResizeObserver};

/// Sets a property of the element's own style.
pub fn set_style(element: &HtmlElement, property: &str, value: &str) {
    // Fails only for a read-only style, which no element of these pages has.
    let _ = element.style().set_property(property, value);
}

/// Scrolls the element with this id into view, if there is one, and highlights it for a moment.
pub fn show_element(id: &str) {
    let document = web_sys::window().and_then(|window| window.document());
    let Some(element) = document.and_then(|document| document.get_element_by_id(id)) else { return };
    let options = web_sys::ScrollIntoViewOptions::new();
    options.set_block(web_sys::ScrollLogicalPosition::Center);
    element.scroll_into_view_with_scroll_into_view_options(&options);
    // Setting the attribute again restarts the style sheet's animation.
    let _ = element.remove_attribute("data-shown");
    let _ = element.set_attribute("data-shown", "");
}

/// Whether some text is selected.
pub fn has_selection() -> bool {
    let selection = web_sys::window().and_then(|window| window.get_selection().ok().flatten());
    selection.is_some_and(|selection| !selection.is_collapsed())
}

/// Listens to changes of an element's size until dropped.
#[derive(Debug)]
pub struct ResizeListener {
    observer: ResizeObserver,
    _on_resize: Closure<dyn Fn(Array)>,
}

impl ResizeListener {
    /// Calls `on_resize` once at the start, and whenever the element's size changes.
    pub fn watch(element: &HtmlElement, on_resize: impl Fn() + 'static) -> Option<Self> {
        let on_resize = Closure::<dyn Fn(Array)>::new(move |_| on_resize());
        let observer = ResizeObserver::new(on_resize.as_ref().unchecked_ref()).ok()?;
        observer.observe(element);
        Some(Self { observer, _on_resize: on_resize })
    }
}

impl Drop for ResizeListener {
    fn drop(&mut self) {
        self.observer.disconnect();
    }
}
