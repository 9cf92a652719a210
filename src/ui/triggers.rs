//! What every page tells of triggers, kept up to date while somebody looks.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::slot::Slot;
use crate::browser::{PageEvent, PageEvents, Timer, is_visible};
use crate::calls::triggers::read_trigger_news;
use crate::model::Problem;
use crate::model::trigger::TriggerAlerts;

/// How often it is looked at again, in milliseconds.
const AGAIN_MS: u64 = 30_000;

/// What the page knows of triggers. One for the whole page.
#[derive(Clone, Copy)]
pub struct Triggers {
    /// What the server rendered.
    first: Resource<Result<TriggerAlerts, Problem>>,
    /// What was found since.
    newer: RwSignal<Option<TriggerAlerts>>,
}

impl Triggers {
    /// Makes the one that all of the page uses.
    pub fn provide() {
        let first = Resource::new_blocking(|| (), |()| read_trigger_news());
        let triggers = Self { first, newer: RwSignal::new(None) };
        provide_context(triggers);
        let timer = Slot::new();
        Effect::new(move |_| {
            timer.keep(Timer::every(AGAIN_MS, move || {
                if is_visible() {
                    triggers.look();
                }
            }));
            let listening = PageEvents::listen(move |event| {
                if matches!(event, PageEvent::Visible | PageEvent::Returned) {
                    triggers.look();
                }
            });
            StoredValue::new_local(listening);
        });
    }

    /// The page's own, if it has one.
    pub fn of_page() -> Option<Self> {
        use_context()
    }

    /// Asks the server again.
    pub fn look(self) {
        spawn_local(async move {
            if let Ok(now) = read_trigger_news().await
                && self.newer.try_with_untracked(|known| known.as_ref() != Some(&now)) == Some(true)
            {
                self.newer.try_set(Some(now));
            }
        });
    }

    /// What is known now. Waits for the first answer; without one nothing is known.
    pub async fn known(self) -> impl Fn() -> TriggerAlerts + Clone + Send + Sync + 'static {
        let first = self.first.await.unwrap_or_default();
        move || self.newer.get().unwrap_or_else(|| first.clone())
    }
}
