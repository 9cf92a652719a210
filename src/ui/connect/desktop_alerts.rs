//! Desktop notifications. Tabs report their alerts to the tab that has the stream, which shows each once, and only if
//! no tab is visible.

use std::cell::RefCell;

use leptos::task::spawn_local;

use super::presence::is_any_tab_visible;
use crate::base;
use crate::browser::{Permission, permission, show_notification, wants_notifications};
use crate::feed::alerts::{RunAlert, ShownAlerts};

/// The alerts that were shown.
#[derive(Default)]
pub(super) struct DesktopAlerts(RefCell<ShownAlerts>);

impl DesktopAlerts {
    /// Shows the alert, unless it was reported before or the reader wants none.
    pub(super) fn show(&self, alert: RunAlert) {
        if !self.0.borrow_mut().is_first(&alert) || !wants_notifications() || permission() != Permission::Granted {
            return;
        }
        spawn_local(async move {
            if !is_any_tab_visible().await {
                let path = base::path(&format!("/runs/{}", alert.run));
                show_notification(&alert.headline(), &alert.detail(), &alert.tag(), &path);
            }
        });
    }
}
