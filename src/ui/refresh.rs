//! Repeated requests of a page: on a timer while it is visible, and at once after certain page events.

use leptos::prelude::*;

use super::scoped_handle::ScopedHandle;
use crate::browser::{PageEvent, PageEvents, Timer, is_visible};

/// Calls `refresh` every `interval_ms` while the page is visible, and on each of `events`, until the owner is cleaned
/// up.
pub fn refresh_while_visible(interval_ms: u64, events: &'static [PageEvent], refresh: impl Fn() + Copy + 'static) {
    let timer = ScopedHandle::new();
    Effect::new(move |_| {
        timer.replace(Timer::every(interval_ms, move || {
            if is_visible() {
                refresh();
            }
        }));
        refresh_on(events, refresh);
    });
}

/// Calls `refresh` on each of `events`, until the owner is cleaned up. Browser only: call it in an effect.
pub fn refresh_on(events: &'static [PageEvent], refresh: impl Fn() + 'static) {
    let listener = PageEvents::listen(move |event| {
        if events.contains(&event) {
            refresh();
        }
    });
    StoredValue::new_local(listener);
}
