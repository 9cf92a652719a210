//! What every page shows of triggers: paused schedules, refused deliveries and skipped runs.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::refresh::refresh_while_visible;
use crate::browser::PageEvent;
use crate::calls::triggers::read_trigger_news;
use crate::model::Problem;
use crate::model::trigger::TriggerAlerts;

const REFRESH_INTERVAL_MS: u64 = 30_000;

/// The state of triggers, shared by the whole app.
#[derive(Clone, Copy)]
pub struct Triggers {
    /// As the server rendered it.
    first: Resource<Result<TriggerAlerts, Problem>>,
    /// As it was last refreshed.
    newer: RwSignal<Option<TriggerAlerts>>,
}

impl Triggers {
    pub fn provide() {
        let first = Resource::new_blocking(|| (), |()| read_trigger_news());
        let triggers = Self { first, newer: RwSignal::new(None) };
        provide_context(triggers);
        refresh_while_visible(REFRESH_INTERVAL_MS, &[PageEvent::Visible, PageEvent::Returned], move || {
            triggers.refresh();
        });
    }

    pub fn from_context() -> Option<Self> {
        use_context()
    }

    pub fn refresh(self) {
        spawn_local(async move {
            if let Ok(now) = read_trigger_news().await
                && self.newer.try_with_untracked(|known| known.as_ref() != Some(&now)) == Some(true)
            {
                self.newer.try_set(Some(now));
            }
        });
    }

    /// Waits for the server's first answer. The function returned is tracked.
    pub async fn latest(self) -> impl Fn() -> TriggerAlerts + Clone + Send + Sync + 'static {
        let first = self.first.await.unwrap_or_default();
        move || self.newer.get().unwrap_or_else(|| first.clone())
    }
}
