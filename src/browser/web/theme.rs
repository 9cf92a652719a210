//! The theme, light or dark: the system's, or the reader's choice, which is stored in this browser.

use crate::base;

/// The storage key of the choice. The script in the page's head reads it too, before anything is drawn (`ui/shell.rs`).
const KEY: &str = "runtrail-theme";

/// The reader's choice, if any.
pub fn stored_theme() -> Option<String> {
    web_sys::window()?.local_storage().ok()??.get_item(&base::name(KEY)).ok()?
}

/// Shows the page in this theme from now on, or in the system's if `None`.
pub fn apply_theme(theme: Option<&str>) {
    let Some(window) = web_sys::window() else { return };
    // If the browser refuses storage, the choice lasts as long as the page.
    if let Ok(Some(storage)) = window.local_storage() {
        let _ = match theme {
            Some(theme) => storage.set_item(&base::name(KEY), theme),
            None => storage.remove_item(&base::name(KEY)),
        };
    }
    if let Some(root) = window.document().and_then(|document| document.document_element()) {
        let _ = match theme {
            Some(theme) => root.set_attribute("data-theme", theme),
            None => root.remove_attribute("data-theme"),
        };
    }
}
