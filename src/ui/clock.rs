//! The current time and the time zone of the browser. Both are unknown until the page is hydrated.

use leptos::prelude::*;

use super::format;
use crate::browser::{self, Timer};
use crate::model::Timestamp;

/// The page's clock. Before hydration, `now` is unknown and times are in UTC.
#[derive(Clone, Copy)]
pub struct Clock {
    now: RwSignal<Option<Timestamp>>,
    is_local: RwSignal<bool>,
}

impl Clock {
    /// Provides one clock for the whole app, and marks the document as hydrated.
    pub fn provide() {
        let clock = Self::stopped();
        provide_context(clock);
        Effect::new(move |_| {
            clock.is_local.set(true);
            clock.now.set(Some(Timestamp(browser::now())));
            let tick = Timer::every(1000, move || {
                if browser::is_visible() {
                    clock.now.try_set(Some(Timestamp(browser::now())));
                }
            });
            // Not in a ScopedHandle: it runs for as long as the page exists.
            StoredValue::new_local(tick);
            // Suspended parts hydrate within this turn of the event loop; after it, all listeners are in place.
            StoredValue::new_local(Timer::after(0, || browser::set_root_data("data-hydrated", "")));
        });
    }

    pub fn from_context() -> Self {
        use_context().unwrap_or_else(Self::stopped)
    }

    fn stopped() -> Self {
        Self { now: RwSignal::new(None), is_local: RwSignal::new(false) }
    }

    /// Milliseconds since `at`. Tracked; `None` before hydration.
    pub fn since(&self, at: Timestamp) -> Option<u64> {
        self.now.get().map(|now| now.since(at))
    }

    /// Milliseconds until `at`, 0 if it has passed. Tracked; `None` before hydration.
    pub fn until(&self, at: Timestamp) -> Option<u64> {
        self.now.get().map(|now| at.since(now))
    }

    /// Tracked; `None` before hydration.
    pub fn now(&self) -> Option<Timestamp> {
        self.now.get()
    }

    /// Whether times are in the browser's time zone rather than UTC. Tracked.
    pub fn is_local(&self) -> bool {
        self.is_local.get()
    }

    /// The UTC offset in minutes at `at`. Tracked.
    pub fn offset(&self, at: Timestamp) -> i32 {
        if self.is_local.get() { browser::utc_offset(at.0) } else { 0 }
    }

    /// The full date and time with its UTC offset. Tracked.
    pub fn exact(&self, at: Timestamp) -> String {
        format::exact(at, self.offset(at))
    }
}
