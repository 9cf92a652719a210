//! Run events that nobody has seen: their count in the page's title, and desktop notifications.
//!
//! Each tab counts the events it receives itself. Notifications go to the leader tab, which shows one for all tabs.

use leptos::prelude::*;

use crate::feed::news::with_count;

/// The number of unseen events in front of the page's title.
#[derive(Clone, Copy)]
pub struct Badge(RwSignal<usize>);

impl Badge {
    /// A badge that starts to count after hydration.
    pub fn new() -> Self {
        let badge = Self(RwSignal::new(0));
        Effect::new(move |_| {
            #[cfg(feature = "hydrate")]
            tab::begin(badge.0);
        });
        badge
    }

    /// The title with the count. Tracked.
    pub fn title(self, title: &str) -> String {
        // While the server writes the title, the signals of the page may be disposed already; the count is 0 there.
        with_count(self.0.try_get().unwrap_or_default(), title)
    }
}

#[cfg(feature = "hydrate")]
pub use tab::{know, see};

#[cfg(feature = "hydrate")]
mod tab {
    use std::cell::RefCell;

    use leptos::prelude::*;

    use crate::browser::{PageEvent, PageEvents, is_visible};
    use crate::feed::news::{Unseen, Watched};
    use crate::model::Run;
    use crate::ui::connect::Hub;

    #[derive(Default)]
    struct Tab {
        watched: Watched,
        unseen: Unseen,
        badge: Option<RwSignal<usize>>,
        page: Option<PageEvents>,
    }

    thread_local! {
        static TAB: RefCell<Tab> = RefCell::default();
    }

    pub(super) fn begin(badge: RwSignal<usize>) {
        let page = PageEvents::listen(move |event| {
            if event == PageEvent::Visible && is_visible() {
                TAB.with_borrow_mut(|tab| tab.unseen.clear());
                badge.try_set(0);
            }
        });
        TAB.with_borrow_mut(|tab| (tab.badge, tab.page) = (Some(badge), Some(page)));
    }

    /// Records the state of a run as it was first rendered, which is no event.
    pub fn know(run: &Run) {
        TAB.with_borrow_mut(|tab| tab.watched.know(run));
    }

    /// Records a new state of a run that this tab shows, and counts and announces the event if nobody sees it.
    pub fn see(run: &Run) {
        let Some(news) = TAB.with_borrow_mut(|tab| tab.watched.see(run)) else { return };
        if is_visible() {
            return;
        }
        let (badge, count) = TAB.with_borrow_mut(|tab| {
            tab.unseen.add(&news);
            (tab.badge, tab.unseen.count())
        });
        if let Some(badge) = badge {
            badge.try_set(count);
        }
        Hub::of_tab().announce(news);
    }
}
