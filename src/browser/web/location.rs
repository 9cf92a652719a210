//! The page's URL, and the data that the server wrote on its root element.

use wasm_bindgen::JsValue;

/// The part of the URL after `#`, if it is not empty.
pub fn hash() -> Option<String> {
    let hash = web_sys::window()?.location().hash().ok()?;
    hash.strip_prefix('#').filter(|hash| !hash.is_empty()).map(str::to_owned)
}

/// Sets the part of the URL after `#` without a history entry and without scrolling, or removes it if empty.
pub fn set_hash(hash: &str) {
    let Some(window) = web_sys::window() else { return };
    let (Ok(path), Ok(search), Ok(history)) =
        (window.location().pathname(), window.location().search(), window.history())
    else {
        return;
    };
    let url = if hash.is_empty() { format!("{path}{search}") } else { format!("{path}{search}#{hash}") };
    let state = history.state().unwrap_or(JsValue::NULL);
    // Browsers refuse only hundreds of calls in a few seconds.
    let _ = history.replace_state_with_url(&state, "", Some(&url));
}

/// Reloads the page.
pub fn reload() {
    if let Some(window) = web_sys::window() {
        // Fails only while the page is being left.
        let _ = window.location().reload();
    }
}

/// Sets an attribute of the root element.
pub fn set_root_data(name: &str, value: &str) {
    let root = web_sys::window().and_then(|window| window.document()?.document_element());
    if let Some(root) = root {
        // Fails only for an invalid name.
        let _ = root.set_attribute(name, value);
    }
}

/// An attribute of the root element.
pub fn root_data(name: &str) -> Option<String> {
    web_sys::window()?.document()?.document_element()?.get_attribute(name)
}
