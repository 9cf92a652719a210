//! What the pages call of the browser, where there is none. Nothing here is ever called: effects do not run on the server.

use leptos::web_sys::HtmlElement;

/// See `browser/timer.rs`.
#[derive(Debug)]
pub struct Timer;

impl Timer {
    /// Never fires.
    pub fn after(_: u64, _: impl FnOnce() + 'static) -> Self {
        Self
    }

    /// Never fires.
    pub fn every(_: u64, _: impl Fn() + 'static) -> Self {
        Self
    }
}

/// See `browser/element.rs`.
#[derive(Debug)]
pub struct ResizeListener;

impl ResizeListener {
    /// Watches nothing.
    pub fn watch(_: &HtmlElement, _: impl Fn() + 'static) -> Option<Self> {
        None
    }
}

/// See `browser/page.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageEvent {
    /// Somebody looks at the page.
    Visible,
    /// The page was kept and is shown again.
    Returned,
    /// The browser has network again.
    Online,
    /// The part of the address after `#` changed.
    Hash,
}

/// See `browser/page.rs`.
#[derive(Debug)]
pub struct PageEvents;

impl PageEvents {
    /// Hears nothing.
    pub fn listen(_: impl Fn(PageEvent) + 'static) -> Self {
        Self
    }
}

/// See `browser/element.rs`.
pub fn show_element(_: &str) {}

/// See `browser/session.rs`.
pub fn session_value(_: &str) -> Option<String> {
    None
}

/// See `browser/session.rs`.
pub fn set_session_value(_: &str, _: &str) {}

/// See `browser/clipboard.rs`.
pub fn copy(_: &str) -> bool {
    false
}

/// See `browser/clock.rs`.
pub fn now() -> i64 {
    0
}

/// See `browser/clock.rs`.
pub fn utc_offset(_: i64) -> i32 {
    0
}

/// See `browser/element.rs`.
pub fn set_style(_: &HtmlElement, _: &str, _: &str) {}

/// See `browser/element.rs`.
pub fn has_selection() -> bool {
    false
}

/// See `browser/location.rs`.
pub fn hash() -> Option<String> {
    None
}

/// See `browser/location.rs`.
pub fn set_hash(_: &str) {}

/// See `browser/location.rs`.
pub fn root_data(_: &str) -> Option<String> {
    None
}

/// See `browser/location.rs`.
pub fn set_root_data(_: &str, _: &str) {}

/// See `browser/page.rs`.
pub fn is_visible() -> bool {
    true
}

/// See `browser/random.rs`.
pub fn random_key() -> String {
    String::new()
}

/// See `browser/theme.rs`.
pub fn stored_theme() -> Option<String> {
    None
}

/// See `browser/theme.rs`.
pub fn apply_theme(_: Option<&str>) {}

/// See `browser/notifications.rs`.
pub fn permission() -> super::Permission {
    super::Permission::Absent
}

/// See `browser/notifications.rs`.
pub async fn ask_permission() -> super::Permission {
    super::Permission::Absent
}

/// See `browser/notifications.rs`.
pub fn wants_notifications() -> bool {
    false
}

/// See `browser/notifications.rs`.
pub fn want_notifications(_: bool) {}

/// On the server there is none.
pub const fn login_key() -> Option<String> {
    None
}
