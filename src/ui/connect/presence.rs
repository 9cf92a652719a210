//! Locks by which the tabs of the browser know of each other: one while the tab exists, one while it is visible.

use std::cell::RefCell;

use crate::browser::{Lock, held_locks, is_visible};

/// With a tab's id: the lock that a tab holds while it exists.
const TAB: &str = "runtrail-tab-";
/// With a tab's id: the lock that a tab holds while it is visible.
const VISIBLE: &str = "runtrail-seen-";

/// This tab's locks.
#[derive(Default)]
pub(super) struct Presence {
    id: String,
    exists: RefCell<Option<Lock>>,
    visible: RefCell<Option<Lock>>,
}

impl Presence {
    /// The presence of the tab with this id, not announced yet.
    pub(super) fn new(id: String) -> Self {
        Self { id, ..Self::default() }
    }

    pub(super) fn announce(&self) {
        self.exists.replace(Lock::request(&format!("{TAB}{}", self.id), false, |_| {}));
        self.update_visibility();
    }

    /// Lets the other tabs know whether this one is visible.
    pub(super) fn update_visibility(&self) {
        if !is_visible() {
            self.visible.take();
        } else if self.visible.borrow().is_none() {
            self.visible.replace(Lock::request(&format!("{VISIBLE}{}", self.id), false, |_| {}));
        }
    }

    pub(super) fn withdraw(&self) {
        self.exists.take();
        self.visible.take();
    }
}

/// The ids of all tabs that exist. `None` if the browser does not tell.
pub(super) async fn existing_tabs() -> Option<Vec<String>> {
    let held = held_locks().await?;
    Some(held.iter().filter_map(|name| name.strip_prefix(TAB)).map(str::to_owned).collect())
}

/// Whether any tab is visible.
pub(super) async fn is_any_tab_visible() -> bool {
    let held = held_locks().await.unwrap_or_default();
    is_visible() || held.iter().any(|name| name.starts_with(VISIBLE))
}
