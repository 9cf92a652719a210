//! The page for addresses that lead nowhere.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::base;
use crate::model::Problem;
use crate::ui::components::again::{TryAgain, ask_again};
use crate::ui::components::code::Words;

/// Says that there is nothing, with the status that says so to programs.
#[component]
pub fn NotFound() -> impl IntoView {
    #[cfg(feature = "ssr")]
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        response.set_status(axum::http::StatusCode::NOT_FOUND);
    }
    view! {
        <Title text="Not found"/>
        <Nowhere title="Page not found" detail="Check the address."/>
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
    /// Asks again for what is not there, if it may come.
    #[prop(optional_no_strip)]
    again: Option<Callback<()>>,
) -> impl IntoView {
    if let Some(again) = again {
        ask_again(again);
    }
    view! {
        <div class="m-auto flex max-w-md flex-col items-center px-6 py-24 text-center">
            <h1 class="text-xl font-semibold tracking-tight">{title}</h1>
            <p class="mt-2 text-sm break-words text-soft"><Words text=detail/></p>
            <div class="mt-6 flex gap-2">
                {again.map(|again| view! { <TryAgain again/> })}
                <a href=base::path("/") class="button">"All runs"</a>
            </div>
        </div>
    }
}

/// A page that could not be read. What may pass is asked for again, until the page is there.
#[component]
pub fn Unread(
    /// Why.
    problem: Problem,
    /// Asks again.
    again: Callback<()>,
) -> impl IntoView {
    let Problem { title, detail, retryable, .. } = problem;
    view! {
        <Title text=title.clone()/>
        <Nowhere title detail again=retryable.then_some(again)/>
    }
}
