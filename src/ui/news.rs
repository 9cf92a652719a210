//! What happened to runs while nobody looked: the number before the page's title, and the notification on the desktop.
//!
//! Each tab counts for its title what it knows itself. For the notification it tells the tab that leads, which shows one for all.

use leptos::prelude::*;

use crate::feed::news::with_count;

/// The number before the title.
#[derive(Clone, Copy)]
pub struct Badge(RwSignal<usize>);

impl Badge {
    /// The page's, which begins to count once the page is live.
    pub fn of_page() -> Self {
        let badge = Self(RwSignal::new(0));
        Effect::new(move |_| {
            #[cfg(feature = "hydrate")]
            tab::begin(badge.0);
        });
        badge
    }

    /// The title as it is shown. Tracks the number.
    pub fn title(self, title: &str) -> String {
        // On the server the page's signals may be gone by the time its title is written, and there the number is 0.
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

    /// A run was shown from the beginning: where it stands is no news.
    pub fn know(run: &Run) {
        TAB.with_borrow_mut(|tab| tab.watched.know(run));
    }

    /// A run that this tab shows stands there now.
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
