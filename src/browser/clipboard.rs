//! The clipboard.

use js_sys::Reflect;
use wasm_bindgen::JsValue;

/// Copies this text. `false` where the browser has no clipboard for pages that came over plain HTTP from another machine.
pub fn copy(text: &str) -> bool {
    let Some(window) = web_sys::window() else { return false };
    let navigator = window.navigator();
    let there = Reflect::get(&navigator, &JsValue::from_str("clipboard")).is_ok_and(|value| value.is_object());
    if there {
        // The promise only says what the reader sees anyway when pasting.
        let _ = navigator.clipboard().write_text(text);
    }
    there
}
