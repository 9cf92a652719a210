//! What time it is and where the reader is: known only once the page is alive.

use leptos::prelude::*;

use super::format;
use crate::browser::{self, Timer};
use crate::model::Timestamp;

/// The page's clock. On the server, and until the page is alive, times are in UTC and it is no particular time.
#[derive(Clone, Copy)]
pub struct Clock {
    now: RwSignal<Option<Timestamp>>,
    local: RwSignal<bool>,
}

impl Clock {
    /// Makes the clock that all of the page uses.
    pub fn provide() {
        let clock = Self { now: RwSignal::new(None), local: RwSignal::new(false) };
        provide_context(clock);
        Effect::new(move |_| {
            clock.local.set(true);
            clock.now.set(Some(Timestamp(browser::now())));
            let tick = Timer::every(1000, move || {
                if browser::is_visible() {
                    clock.now.try_set(Some(Timestamp(browser::now())));
                }
            });
            // Lives as long as the page.
            StoredValue::new_local(tick);
            // What waits for its data comes alive in this turn of the browser's loop; then all listeners are in place.
            StoredValue::new_local(Timer::after(0, || browser::set_root_data("data-hydrated", "")));
        });
    }

    /// The page's clock.
    pub fn of_page() -> Self {
        use_context().unwrap_or_else(|| Self { now: RwSignal::new(None), local: RwSignal::new(false) })
    }

    /// How long ago something was, in milliseconds, as time goes by. `None` until the page is alive.
    pub fn since(&self, at: Timestamp) -> Option<u64> {
        self.now.get().map(|now| now.since(at))
    }

    /// How long it is until a moment, in milliseconds, as time goes by; 0 when it has come. `None` until the page is alive.
    pub fn until(&self, at: Timestamp) -> Option<u64> {
        self.now.get().map(|now| at.since(now))
    }

    /// The moment now. `None` until the page is alive.
    pub fn now(&self) -> Option<Timestamp> {
        self.now.get()
    }

    /// Whether times are the reader's own.
    pub fn is_local(&self) -> bool {
        self.local.get()
    }

    /// Minutes ahead of UTC at that moment, where the reader is.
    pub fn offset(&self, at: Timestamp) -> i32 {
        if self.local.get() { browser::utc_offset(at.0) } else { 0 }
    }

    /// The whole of a time, where the reader is.
    pub fn exact(&self, at: Timestamp) -> String {
        format::exact(at, self.offset(at))
    }
}
