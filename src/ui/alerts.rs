//! Alerts for a reader who is looking elsewhere: the number before the page's title, and the desktop notification.
//!
//! Each tab counts for its own title. The desktop notification is shown by the leader tab, once for all tabs.

use leptos::prelude::*;

use crate::feed::alerts::title_with_count;

/// The number before the page's title.
#[derive(Clone, Copy)]
pub struct TitleBadge(RwSignal<usize>);

impl TitleBadge {
    /// The page's badge, which counts from hydration on.
    pub fn of_page() -> Self {
        let badge = Self(RwSignal::new(0));
        Effect::new(move |_| {
            #[cfg(feature = "hydrate")]
            tab::begin(badge.0);
        });
        badge
    }

    /// The title with the number before it. Tracks the number.
    pub fn title(self, title: &str) -> String {
        // On the server the page's signals may be disposed of before its title is written; there the number is 0.
        title_with_count(self.0.try_get().unwrap_or_default(), title)
    }
}

#[cfg(feature = "hydrate")]
pub use tab::{observe, record};

#[cfg(feature = "hydrate")]
mod tab {
    use std::cell::RefCell;

    use leptos::prelude::*;

    use crate::browser::{PageEvent, PageEvents, is_visible};
    use crate::feed::alerts::{RunTracker, UnseenRuns};
    use crate::model::Run;
    use crate::ui::connect::Hub;

    #[derive(Default)]
    struct TabAlerts {
        tracker: RunTracker,
        unseen: UnseenRuns,
        badge: Option<RwSignal<usize>>,
        page_events: Option<PageEvents>,
    }

    thread_local! {
        static ALERTS: RefCell<TabAlerts> = RefCell::default();
    }

    pub(super) fn begin(badge: RwSignal<usize>) {
        let page_events = PageEvents::listen(move |event| {
            if event == PageEvent::Visible && is_visible() {
                ALERTS.with_borrow_mut(|alerts| alerts.unseen.clear());
                badge.try_set(0);
            }
        });
        ALERTS.with_borrow_mut(|alerts| (alerts.badge, alerts.page_events) = (Some(badge), Some(page_events)));
    }

    /// Records the state of a run that was just put on the page, without an alert.
    pub fn record(run: &Run) {
        ALERTS.with_borrow_mut(|alerts| alerts.tracker.record(run));
    }

    /// Records a run's new state. Raises an alert if it calls for one and the tab is hidden.
    pub fn observe(run: &Run) {
        let Some(alert) = ALERTS.with_borrow_mut(|alerts| alerts.tracker.observe(run)) else { return };
        if is_visible() {
            return;
        }
        let (badge, count) = ALERTS.with_borrow_mut(|alerts| {
            alerts.unseen.add(&alert);
            (alerts.badge, alerts.unseen.count())
        });
        if let Some(badge) = badge {
            badge.try_set(count);
        }
        Hub::of_tab().raise_alert(alert);
    }
}
