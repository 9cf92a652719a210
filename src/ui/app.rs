//! The app: what all pages share, and the routes.

use leptos::prelude::*;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::components::{Route, Router, Routes};
use leptos_router::{ParamSegment, SsrMode, StaticSegment};

use super::alerts::TitleBadge;
use super::clock::Clock;
use super::components::drain_banner::DrainBanner;
use super::components::outage_banner::OutageBanner;
use super::components::paused_banner::PausedBanner;
use super::components::top_bar::TopBar;
use super::pages::{
    AccessPage, AuditLogPage, ComparePage, DeliveriesPage, HomePage, NotFound, RunPage, SchedulesPage, WorkersPage,
};
use super::triggers::Triggers;

#[component]
pub fn App(
    /// The base path of all addresses; empty if the app is served from the root.
    base: &'static str,
) -> impl IntoView {
    provide_meta_context();
    Clock::provide();
    Triggers::provide();
    let badge = TitleBadge::of_page();
    let title = move |title: String| {
        badge.title(&if title.is_empty() { "Runtrail".to_owned() } else { format!("{title} · Runtrail") })
    };
    // SsrMode::Async sends whole pages, which must be readable without JavaScript.
    view! {
        <Title formatter=title/>
        <Router base>
            <div class="flex min-h-dvh flex-col">
                <TopBar/>
                <OutageBanner/>
                <DrainBanner/>
                <PausedBanner/>
                <main class="flex min-h-0 flex-1 flex-col">
                    <Routes fallback=NotFound>
                        <Route path=StaticSegment("") view=HomePage ssr=SsrMode::Async/>
                        <Route path=StaticSegment("schedules") view=SchedulesPage ssr=SsrMode::Async/>
                        <Route path=StaticSegment("deliveries") view=DeliveriesPage ssr=SsrMode::Async/>
                        <Route path=StaticSegment("workers") view=WorkersPage ssr=SsrMode::Async/>
                        <Route path=StaticSegment("access") view=AccessPage ssr=SsrMode::Async/>
                        <Route path=StaticSegment("audit") view=AuditLogPage ssr=SsrMode::Async/>
                        <Route path=(StaticSegment("runs"), ParamSegment("id")) view=RunPage ssr=SsrMode::Async/>
                        <Route path=(StaticSegment("runs"), ParamSegment("id"), StaticSegment("compare")) view=ComparePage ssr=SsrMode::Async/>
                    </Routes>
                </main>
            </div>
        </Router>
    }
}
