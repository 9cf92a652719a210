//! The bar at the top of every page.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

use super::account_menu::AccountMenu;
use super::icon::Icon;
use super::notify_toggle::NotifyToggle;
use crate::base;
use crate::browser;

/// Home link, page links, bell, theme and account.
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
                    <span class="max-sm:sr-only">"Runtrail"</span>
                </a>
                <nav class="scrollbar-thin mr-auto ml-2 flex min-w-0 overflow-x-auto text-xs sm:ml-6 sm:gap-1 sm:text-sm" aria-label="Pages">
                    <PageLink name="schedules" text="Schedules"/>
                    <PageLink name="deliveries" text="Deliveries"/>
                    <PageLink name="workers" text="Workers"/>
                </nav>
                <div class="flex items-center gap-1">
                    <NotifyToggle/>
                    <ThemeButton/>
                    <AccountMenu/>
                </div>
            </div>
        </header>
    }
}

#[component]
fn PageLink(name: &'static str, text: &'static str) -> impl IntoView {
    let (pathname, href) = (use_location().pathname, base::path(&format!("/{name}")));
    let is_current = {
        let href = href.clone();
        // The server sees its own paths, the browser those below the base path.
        move || pathname.with(|shown| *shown == href || shown.strip_prefix('/') == Some(name))
    };
    view! {
        <a
            href=href
            class="rounded px-1.5 py-1.5 text-soft sm:px-2 hover:text-ink aria-[current]:font-medium aria-[current]:text-ink"
            aria-current=move || is_current().then_some("page")
        >
            {text}
        </a>
    }
}

/// Cycles through system, light and dark.
#[component]
fn ThemeButton() -> impl IntoView {
    let theme = RwSignal::new(None::<String>);
    Effect::new(move |_| theme.set(browser::stored_theme()));
    let cycle = move |_| {
        let next = match theme.get_untracked().as_deref() {
            None => Some("light"),
            Some("light") => Some("dark"),
            Some(_) => None,
        };
        browser::apply_theme(next);
        theme.set(next.map(str::to_owned));
    };
    let label = move || {
        theme.with(|theme| match theme.as_deref() {
            None => "Theme: system",
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
        <button type="button" class="button button-icon noscript:hidden" title=label aria-label=label on:click=cycle>
            {move || icon().draw()}
        </button>
    }
}
