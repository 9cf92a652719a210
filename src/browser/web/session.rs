//! The tab's session storage, which survives reloads.

use crate::base;

/// The value of this key.
pub fn session_value(key: &str) -> Option<String> {
    web_sys::window()?.session_storage().ok()??.get_item(&base::name(key)).ok()?
}

/// Sets the value of a key, or removes it if empty.
pub fn set_session_value(key: &str, value: &str) {
    // If the browser refuses storage, the value lasts as long as the page.
    if let Some(Ok(Some(storage))) = web_sys::window().map(|window| window.session_storage()) {
        let _ = if value.is_empty() {
            storage.remove_item(&base::name(key))
        } else {
            storage.set_item(&base::name(key), value)
        };
    }
}
