use leptos::prelude::*;
use leptos_router::components::{Route, Router, Routes};
use leptos_router::{ParamSegment, StaticSegment};
#[derive(Clone, Copy)]
pub struct PageSettings {
    pub poll_ms: u32,
    pub heartbeat_ms: u32,
}
pub fn shell(options: LeptosOptions, _page: PageSettings) -> impl IntoView {
    view! { <!DOCTYPE html><html><head><HydrationScripts options/></head><body><App/></body></html> }
}
#[component]
pub fn App() -> impl IntoView {
    view! { <Router><Routes fallback=|| "nothing"><Route path=StaticSegment("") view=|| "list"/><Route path=(StaticSegment("runs"), ParamSegment("id")) view=|| "run"/></Routes></Router> }
}
