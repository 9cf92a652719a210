//! The hub's part in notifications on the desktop: every tab tells the one that leads what it knows, and that one tells the reader,
//! once, if no tab is looked at.

use leptos::task::spawn_local;

use super::Hub;
use crate::base;
use crate::browser::{Lock, Permission, held_locks, is_visible, permission, show_notification, wants_notifications};
use crate::feed::alerts::RunAlert;
use crate::feed::tabs::Message;

/// With a tab's id: the lock that a tab holds while somebody may look at it.
const SEEN: &str = "runtrail-seen-";

impl Hub {
    /// Something happened to a run that this tab shows, and nobody looks at this tab.
    pub fn raise_alert(&self, news: RunAlert) {
        if self.connects() {
            self.notify(news);
        } else {
            self.post(Message::News { news });
        }
    }

    /// Tells the reader, unless another tab has told the same or a tab is looked at.
    pub(super) fn notify(&self, news: RunAlert) {
        if !self.told_news.borrow_mut().is_first(&news) || !wants_notifications() || permission() != Permission::Granted
        {
            return;
        }
        spawn_local(async move {
            let held = held_locks().await.unwrap_or_default();
            if !is_visible() && !held.iter().any(|name| name.starts_with(SEEN)) {
                show_notification(
                    &news.headline(),
                    &news.detail(),
                    &news.tag(),
                    &base::path(&format!("/runs/{}", news.run)),
                );
            }
        });
    }

    /// Lets the other tabs know whether somebody looks at this one.
    pub(super) fn show_whether_seen(&self) {
        if !is_visible() {
            self.seen.take();
        } else if self.seen.borrow().is_none() {
            self.seen.replace(Lock::request(&format!("{SEEN}{}", self.id), false, |_| {}));
        }
    }
}
