//! What a tab remembers while it is open, over reloads.

use crate::base;

/// What was session_value under this key.
pub fn session_value(key: &str) -> Option<String> {
    web_sys::window()?.session_storage().ok()??.get_item(&base::name(key)).ok()?
}

/// Remembers this under a key; forgets it if it is empty.
pub fn set_session_value(key: &str, value: &str) {
    // A browser may refuse storage; what is session_value then lasts as long as the page.
    if let Some(Ok(Some(storage))) = web_sys::window().map(|window| window.session_storage()) {
        let _ = if value.is_empty() {
            storage.remove_item(&base::name(key))
        } else {
            storage.set_item(&base::name(key), value)
        };
    }
}
