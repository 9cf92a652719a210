//! The clipboard.

use js_sys::Reflect;
use wasm_bindgen::JsValue;

/// Copies the text. `false` if there is no clipboard, as for pages that came over plain HTTP from another machine.
pub fn copy(text: &str) -> bool {
    let Some(window) = web_sys::window() else { return false };
    let navigator = window.navigator();
    let has_clipboard = Reflect::get(&navigator, &JsValue::from_str("clipboard")).is_ok_and(|value| value.is_object());
    if has_clipboard {
        // A failure shows when the reader pastes.
        let _ = navigator.clipboard().write_text(text);
    }
    has_clipboard
}
