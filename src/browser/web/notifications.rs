//! Desktop notifications: whether they are permitted, whether the reader wants them (stored in this browser), and
//! showing one.

use js_sys::Reflect;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Notification, NotificationOptions, NotificationPermission};

use crate::base;
use crate::browser::Permission;

/// The storage key of the reader's choice.
const KEY: &str = "runtrail-notify";

/// Whether the browser permits notifications of this page.
pub fn permission() -> Permission {
    // Accessing a missing API is an error. Pages that came over plain HTTP from another machine have the API, but are
    // always refused.
    let secure = web_sys::window().filter(web_sys::Window::is_secure_context);
    if !secure.is_some_and(|window| Reflect::has(&window, &"Notification".into()).unwrap_or(false)) {
        return Permission::Absent;
    }
    match Notification::permission() {
        NotificationPermission::Granted => Permission::Granted,
        NotificationPermission::Denied => Permission::Denied,
        _ => Permission::NotAsked,
    }
}

/// Has the browser ask the reader for permission. Call it only on a click.
pub async fn ask_permission() -> Permission {
    if permission() == Permission::NotAsked
        && let Ok(asked) = Notification::request_permission()
    {
        // The answer is the permission, read below.
        let _ = JsFuture::from(asked).await;
    }
    permission()
}

/// Whether the reader wants notifications.
pub fn wants_notifications() -> bool {
    let storage = web_sys::window().and_then(|window| window.local_storage().ok()?);
    storage.and_then(|storage| storage.get_item(&base::name(KEY)).ok()?).is_some()
}

/// Stores whether the reader wants notifications.
pub fn want_notifications(wants: bool) {
    // If the browser refuses storage, there are no notifications.
    if let Some(Ok(Some(storage))) = web_sys::window().map(|window| window.local_storage()) {
        let _ = if wants { storage.set_item(&base::name(KEY), "on") } else { storage.remove_item(&base::name(KEY)) };
    }
}

/// Shows a notification in place of one with the same tag. A click on it opens the page at this path.
pub fn show_notification(title: &str, body: &str, tag: &str, path: &str) {
    let options = NotificationOptions::new();
    options.set_body(body);
    options.set_tag(tag);
    options.set_icon(&base::path("/favicon.svg"));
    // Phones need a service worker for this. There the number in the title has to do.
    let Ok(notification) = Notification::new_with_options(title, &options) else { return };
    let path = path.to_owned();
    let shown = notification.clone();
    let clicked = Closure::once_into_js(move || {
        shown.close();
        open_page(&path);
    });
    notification.set_onclick(Some(clicked.unchecked_ref()));
}

/// Focuses this tab if it shows that page, or opens the page in another tab.
fn open_page(path: &str) {
    let Some(window) = web_sys::window() else { return };
    if window.location().pathname().is_ok_and(|shown| shown == path) {
        // Browsers may refuse to focus themselves.
        let _ = window.focus();
        return;
    }
    let opened = window.open_with_url_and_target(path, &format!("runtrail{path}"));
    if !matches!(opened, Ok(Some(_))) {
        let _ = window.focus();
        let _ = window.location().set_href(path);
    }
}
