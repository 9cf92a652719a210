//! The bar at the top of every page.

use leptos::prelude::*;

use super::icon::Icon;
use super::notify_toggle::NotifyToggle;
use crate::base;
use crate::browser;

/// The name, which leads home, the bell, and the theme.
#[component]
pub fn TopBar() -> impl IntoView {
    view! {
        <header class="sticky top-0 z-20 border-b border-line bg-panel/85 backdrop-blur">
            <div class="mx-auto flex h-12 w-full max-w-[88rem] items-center justify-between px-4 lg:px-6">
                <a href=base::path("/") class="-mx-1 flex items-center gap-2 rounded px-1 font-semibold tracking-tight">
                    <svg class="size-5 text-accent" viewBox="0 0 20 20" fill="none" aria-hidden="true">
                        <rect width="20" height="20" rx="5.5" fill="currentColor"></rect>
                        <path
                            class="text-accent-ink"
                            d="M4.5 13.5h2.8l2.6-7.5 2.6 5.6h3"
                            stroke="currentColor"
                            stroke-width="1.7"
                            stroke-linecap="round"
                            stroke-linejoin="round"
                        ></path>
                    </svg>
                    "Runtrail"
                </a>
                <div class="flex items-center gap-1">
                    <NotifyToggle/>
                    <ThemeButton/>
                </div>
            </div>
        </header>
    }
}

/// Light, dark, or as the system has it.
#[component]
fn ThemeButton() -> impl IntoView {
    let theme = RwSignal::new(None::<String>);
    Effect::new(move |_| theme.set(browser::stored_theme()));
    let turn = move |_| {
        let next = match theme.get_untracked().as_deref() {
            None => Some("light"),
            Some("light") => Some("dark"),
            Some(_) => None,
        };
        browser::apply_theme(next);
        theme.set(next.map(str::to_owned));
    };
    let words = move || {
        theme.with(|theme| match theme.as_deref() {
            None => "Theme: as the system",
            Some("light") => "Theme: light",
            Some(_) => "Theme: dark",
        })
    };
    let icon = move || {
        theme.with(|theme| match theme.as_deref() {
            None => Icon::Theme,
            Some("light") => Icon::Sun,
            Some(_) => Icon::Moon,
        })
    };
    view! {
        <button type="button" class="button button-icon noscript:hidden" title=words aria-label=words on:click=turn>
            {move || icon().draw()}
        </button>
    }
}
