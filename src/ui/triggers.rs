//! The triggers' news that every page shows, kept up to date while the page is visible.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::slot::Slot;
use crate::browser::{PageEvent, PageEvents, Timer, is_visible};
use crate::calls::triggers::read_trigger_news;
use crate::model::Problem;
use crate::model::trigger::TriggerAlerts;

/// The interval between two refreshes.
const REFRESH_EVERY_MS: u64 = 30_000;

/// The news of triggers. There is one for the whole page.
#[derive(Clone, Copy)]
pub struct Triggers {
    /// As the server rendered it.
    first: Resource<Result<TriggerAlerts, Problem>>,
    /// As of the last refresh.
    newer: RwSignal<Option<TriggerAlerts>>,
}

impl Triggers {
    /// Provides the page's news.
    pub fn provide() {
        let first = Resource::new_blocking(|| (), |()| read_trigger_news());
        let triggers = Self { first, newer: RwSignal::new(None) };
        provide_context(triggers);
        let timer = Slot::new();
        Effect::new(move |_| {
            timer.keep(Timer::every(REFRESH_EVERY_MS, move || {
                if is_visible() {
                    triggers.refresh();
                }
            }));
            let listening = PageEvents::listen(move |event| {
                if matches!(event, PageEvent::Visible | PageEvent::Returned) {
                    triggers.refresh();
                }
            });
            StoredValue::new_local(listening);
        });
    }

    pub fn of_page() -> Option<Self> {
        use_context()
    }

    /// Requests the news again.
    pub fn refresh(self) {
        spawn_local(async move {
            if let Ok(now) = read_trigger_news().await
                && self.newer.try_with_untracked(|known| known.as_ref() != Some(&now)) == Some(true)
            {
                self.newer.try_set(Some(now));
            }
        });
    }

    /// The current news, once the first response has arrived. Empty if that failed.
    pub async fn current(self) -> impl Fn() -> TriggerAlerts + Clone + Send + Sync + 'static {
        let first = self.first.await.unwrap_or_default();
        move || self.newer.get().unwrap_or_else(|| first.clone())
    }
}
