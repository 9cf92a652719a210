//! The page for addresses that lead nowhere.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::components::A;

/// Says that there is nothing, with the status that says so to programs.
#[component]
pub fn NotFound() -> impl IntoView {
    #[cfg(feature = "ssr")]
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        response.set_status(axum::http::StatusCode::NOT_FOUND);
    }
    view! {
        <Title text="Not found"/>
        <Nowhere title="Nothing here" detail="This address leads nowhere. It may be mistyped, or what was here is gone."/>
    }
}

/// A page that has nothing to show, and why.
#[component]
pub fn Nowhere(
    /// What is wrong.
    #[prop(into)]
    title: String,
    /// What it means.
    #[prop(into)]
    detail: String,
) -> impl IntoView {
    view! {
        <div class="m-auto flex max-w-md flex-col items-center px-6 py-24 text-center">
            <h1 class="text-xl font-semibold tracking-tight">{title}</h1>
            <p class="mt-2 text-sm break-words text-soft">{detail}</p>
            <A href="/" attr:class="button mt-6">"All runs"</A>
        </div>
    }
}
