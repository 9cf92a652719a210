//! Notifications on the desktop: whether they may be shown, whether the reader wants them, and one of them. What the reader wants is
//! kept in this browser.

use js_sys::Reflect;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Notification, NotificationOptions, NotificationPermission};

use super::Permission;
use crate::base;

/// Where the wish is kept.
const KEY: &str = "runtrail-notify";

/// Whether the browser shows notifications of this page.
pub fn permission() -> Permission {
    // Where there is none, to touch it is an error. Pages that come over plain HTTP from another machine have it, and are refused
    // without a question.
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

/// Has the browser ask the reader. Only on a click: nobody likes to be asked otherwise.
pub async fn ask_permission() -> Permission {
    if permission() == Permission::NotAsked
        && let Ok(asked) = Notification::request_permission()
    {
        // What was answered is looked at below.
        let _ = JsFuture::from(asked).await;
    }
    permission()
}

/// Whether the reader wants notifications.
pub fn wants_notifications() -> bool {
    let storage = web_sys::window().and_then(|window| window.local_storage().ok()?);
    storage.and_then(|storage| storage.get_item(&base::name(KEY)).ok()?).is_some()
}

/// Keeps whether the reader wants notifications.
pub fn want_notifications(wants: bool) {
    // A browser may refuse storage; then there are no notifications.
    if let Some(Ok(Some(storage))) = web_sys::window().map(|window| window.local_storage()) {
        let _ = if wants { storage.set_item(&base::name(KEY), "on") } else { storage.remove_item(&base::name(KEY)) };
    }
}

/// Shows a notification in place of one with the same tag. Whoever clicks on it gets to the page at this path.
pub fn show_notification(title: &str, body: &str, tag: &str, path: &str) {
    let options = NotificationOptions::new();
    options.set_body(body);
    options.set_tag(tag);
    options.set_icon(&base::path("/favicon.svg"));
    // Phones show none without a service worker; there it stays with the number in the title.
    let Ok(notification) = Notification::new_with_options(title, &options) else { return };
    let path = path.to_owned();
    let shown = notification.clone();
    let clicked = Closure::once_into_js(move || {
        shown.close();
        go(&path);
    });
    notification.set_onclick(Some(clicked.unchecked_ref()));
}

/// Brings this tab to the front if it shows that page, else opens it in a tab of its own: what this one shows stays.
fn go(path: &str) {
    let Some(window) = web_sys::window() else { return };
    if window.location().pathname().is_ok_and(|shown| shown == path) {
        // A browser may refuse to bring itself to the front.
        let _ = window.focus();
        return;
    }
    let opened = window.open_with_url_and_target(path, &format!("runtrail{path}"));
    if !matches!(opened, Ok(Some(_))) {
        let _ = window.focus();
        let _ = window.location().set_href(path);
    }
}
