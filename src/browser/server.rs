//! The browser's names on the server, where they do nothing. Effects, which alone call them, do not run there.

use leptos::web_sys::HtmlElement;

use super::{PageEvent, Permission};

/// See `browser/web/timer.rs`.
#[derive(Debug)]
pub struct Timer;

impl Timer {
    pub fn after(_: u64, _: impl FnOnce() + 'static) -> Self {
        Self
    }

    pub fn every(_: u64, _: impl Fn() + 'static) -> Self {
        Self
    }
}

/// See `browser/web/element.rs`.
#[derive(Debug)]
pub struct ResizeListener;

impl ResizeListener {
    pub fn watch(_: &HtmlElement, _: impl Fn() + 'static) -> Option<Self> {
        None
    }
}

/// See `browser/web/page.rs`.
#[derive(Debug)]
pub struct PageEvents;

impl PageEvents {
    pub fn listen(_: impl Fn(PageEvent) + 'static) -> Self {
        Self
    }
}

/// See `browser/web/element.rs`.
pub fn show_element(_: &str) {}

/// See `browser/web/session.rs`.
pub fn session_value(_: &str) -> Option<String> {
    None
}

/// See `browser/web/session.rs`.
pub fn set_session_value(_: &str, _: &str) {}

/// See `browser/web/clipboard.rs`.
pub fn copy(_: &str) -> bool {
    false
}

/// See `browser/web/clock.rs`.
pub fn now() -> i64 {
    0
}

/// See `browser/web/clock.rs`.
pub fn utc_offset(_: i64) -> i32 {
    0
}

/// See `browser/web/element.rs`.
pub fn set_style(_: &HtmlElement, _: &str, _: &str) {}

/// See `browser/web/element.rs`.
pub fn has_selection() -> bool {
    false
}

/// See `browser/web/location.rs`.
pub fn hash() -> Option<String> {
    None
}

/// See `browser/web/location.rs`.
pub fn set_hash(_: &str) {}

/// See `browser/web/location.rs`.
pub fn root_data(_: &str) -> Option<String> {
    None
}

/// See `browser/web/location.rs`.
pub fn set_root_data(_: &str, _: &str) {}

/// See `browser/web/page.rs`.
pub fn is_visible() -> bool {
    true
}

/// See `browser/web/random.rs`.
pub fn random_key() -> String {
    String::new()
}

/// See `browser/web/theme.rs`.
pub fn stored_theme() -> Option<String> {
    None
}

/// See `browser/web/theme.rs`.
pub fn apply_theme(_: Option<&str>) {}

/// See `browser/web/notifications.rs`.
pub fn permission() -> Permission {
    Permission::Absent
}

/// See `browser/web/notifications.rs`.
pub async fn ask_permission() -> Permission {
    Permission::Absent
}

/// See `browser/web/notifications.rs`.
pub fn wants_notifications() -> bool {
    false
}

/// See `browser/web/notifications.rs`.
pub fn want_notifications(_: bool) {}

/// See `browser/web/login_key.rs`.
pub const fn login_key() -> Option<String> {
    None
}
