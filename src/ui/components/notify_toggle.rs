//! The bell in the top bar, which turns desktop notifications on and off.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::icon::Icon;
use crate::browser::{self, PageEvent, PageEvents, Permission};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NotificationState {
    Off,
    On,
    /// The user has blocked notifications of this site in the browser.
    Denied,
    /// The browser has no notifications for this site.
    Absent,
}

impl NotificationState {
    fn current() -> Self {
        match browser::permission() {
            Permission::Absent => Self::Absent,
            Permission::Denied => Self::Denied,
            Permission::Granted if browser::wants_notifications() => Self::On,
            Permission::Granted | Permission::NotAsked => Self::Off,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Off => "Notify me when a run finishes or needs approval",
            Self::On => "Notifications are on: finished runs and approvals while Runtrail isn't visible",
            Self::Denied => {
                "Your browser blocks notifications from this site. Allow them in the site settings, then press the bell again."
            }
            Self::Absent => "Notifications need HTTPS (or localhost). The tab title still shows a count.",
        }
    }

    const fn icon(self) -> Icon {
        match self {
            Self::Off => Icon::Bell,
            Self::On => Icon::BellOn,
            Self::Denied | Self::Absent => Icon::BellOff,
        }
    }

    const fn is_available(self) -> bool {
        matches!(self, Self::Off | Self::On)
    }
}

/// The bell. The browser asks for permission on the first click, not before.
#[component]
pub fn NotifyToggle() -> impl IntoView {
    let state = RwSignal::new(NotificationState::Off);
    let is_explained = RwSignal::new(false);
    Effect::new(move |_| {
        state.set(NotificationState::current());
        // Another tab or the browser's settings may have changed it.
        let listener = PageEvents::listen(move |event| {
            if event == PageEvent::Visible {
                state.try_set(NotificationState::current());
            }
        });
        StoredValue::new_local(listener);
    });
    let press = move |_| {
        let now = NotificationState::current();
        if !now.is_available() {
            state.set(now);
            is_explained.update(|is_explained| *is_explained = !*is_explained);
            return;
        }
        browser::want_notifications(now == NotificationState::Off);
        if now == NotificationState::On {
            state.set(NotificationState::Off);
            return;
        }
        spawn_local(async move {
            browser::ask_permission().await;
            let then = NotificationState::current();
            if then != NotificationState::On {
                // Dismissed or denied: another click is needed.
                browser::want_notifications(false);
            }
            state.try_set(then);
            is_explained.try_set(!then.is_available());
        });
    };
    let pressed = move || if state.get() == NotificationState::On { "true" } else { "false" };
    let explanation = move || (is_explained.get() && !state.get().is_available()).then(|| state.get().text());
    view! {
        <div class="relative noscript:hidden">
            <button
                type="button"
                class="button button-icon"
                class=("text-accent", move || state.get() == NotificationState::On)
                class=("text-faint", move || !state.get().is_available())
                data-testid="notify-toggle"
                title=move || state.get().text()
                aria-label="Desktop notifications"
                aria-pressed=pressed
                on:click=press
            >
                {move || state.get().icon().draw()}
            </button>
            <div role="status" class="absolute top-full right-0 z-30 mt-2 max-sm:-right-11">
                {move || explanation().map(|text| view! { <p class="card w-72 px-3 py-2 text-xs text-soft shadow-lg">{text}</p> })}
            </div>
        </div>
    }
}
