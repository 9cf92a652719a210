//! The reader's time and time zone, which are known only after hydration.

use leptos::prelude::*;

use super::format;
use crate::browser::{self, Timer};
use crate::model::Timestamp;

/// The page's clock. On the server, and until hydration, there is no current time, and times are shown in UTC.
#[derive(Clone, Copy)]
pub struct Clock {
    now: RwSignal<Option<Timestamp>>,
    local: RwSignal<bool>,
}

impl Clock {
    /// Provides the page's clock.
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
            // Kept as long as the page.
            StoredValue::new_local(tick);
            // Suspended parts hydrate in this task of the browser's event loop. After it, all listeners are in place.
            StoredValue::new_local(Timer::after(0, || browser::set_root_data("data-hydrated", "")));
        });
    }

    pub fn of_page() -> Self {
        use_context().unwrap_or_else(|| Self { now: RwSignal::new(None), local: RwSignal::new(false) })
    }

    /// Milliseconds since a moment. Tracks the time. `None` until hydration.
    pub fn since(&self, at: Timestamp) -> Option<u64> {
        self.now.get().map(|now| now.since(at))
    }

    /// Milliseconds until a moment, or 0 if it has passed. Tracks the time. `None` until hydration.
    pub fn until(&self, at: Timestamp) -> Option<u64> {
        self.now.get().map(|now| at.since(now))
    }

    /// The current time. Tracks it. `None` until hydration.
    pub fn now(&self) -> Option<Timestamp> {
        self.now.get()
    }

    /// Whether times are shown in the reader's time zone.
    pub fn is_local(&self) -> bool {
        self.local.get()
    }

    /// Minutes by which shown times are ahead of UTC at that moment.
    pub fn offset(&self, at: Timestamp) -> i32 {
        if self.local.get() { browser::utc_offset(at.0) } else { 0 }
    }

    /// The time in full, in the reader's time zone.
    pub fn exact(&self, at: Timestamp) -> String {
        format::exact(at, self.offset(at))
    }
}
