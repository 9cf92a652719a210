//! The bell in the top bar: notifications on the desktop, on request.

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::icon::Icon;
use crate::browser::{self, PageEvent, PageEvents, Permission};

/// What the bell says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bell {
    Off,
    On,
    /// The browser does not let this site.
    Denied,
    /// There are none here.
    Absent,
}

impl Bell {
    fn now() -> Self {
        match browser::permission() {
            Permission::Absent => Self::Absent,
            Permission::Denied => Self::Denied,
            Permission::Granted if browser::wants_notifications() => Self::On,
            Permission::Granted | Permission::NotAsked => Self::Off,
        }
    }

    const fn words(self) -> &'static str {
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

    const fn is_possible(self) -> bool {
        matches!(self, Self::Off | Self::On)
    }
}

/// Turns notifications on the desktop on and off. The browser is asked for permission with the first click and not before.
#[component]
pub fn NotifyToggle() -> impl IntoView {
    let bell = RwSignal::new(Bell::Off);
    let explained = RwSignal::new(false);
    Effect::new(move |_| {
        bell.set(Bell::now());
        // Another tab, or the browser's settings, may have changed it.
        let listening = PageEvents::listen(move |event| {
            if event == PageEvent::Visible {
                bell.try_set(Bell::now());
            }
        });
        StoredValue::new_local(listening);
    });
    let press = move |_| {
        let now = Bell::now();
        if !now.is_possible() {
            bell.set(now);
            explained.update(|explained| *explained = !*explained);
            return;
        }
        browser::want_notifications(now == Bell::Off);
        if now == Bell::On {
            bell.set(Bell::Off);
            return;
        }
        spawn_local(async move {
            browser::ask_permission().await;
            let then = Bell::now();
            if then != Bell::On {
                // Put off or refused: only a further click turns it on.
                browser::want_notifications(false);
            }
            bell.try_set(then);
            explained.try_set(!then.is_possible());
        });
    };
    let pressed = move || if bell.get() == Bell::On { "true" } else { "false" };
    let said = move || (explained.get() && !bell.get().is_possible()).then(|| bell.get().words());
    view! {
        <div class="relative noscript:hidden">
            <button
                type="button"
                class="button button-icon"
                class=("text-accent", move || bell.get() == Bell::On)
                class=("text-faint", move || !bell.get().is_possible())
                data-testid="notify-toggle"
                title=move || bell.get().words()
                aria-label="Desktop notifications"
                aria-pressed=pressed
                on:click=press
            >
                {move || bell.get().icon().draw()}
            </button>
            <div role="status" class="absolute top-full right-0 z-30 mt-2 max-sm:-right-11">
                {move || said().map(|words| view! { <p class="card w-72 px-3 py-2 text-xs text-soft shadow-lg">{words}</p> })}
            </div>
        </div>
    }
}
