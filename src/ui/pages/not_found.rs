//! The page for unknown addresses, and for data that could not be loaded.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::base;
use crate::model::Problem;
use crate::ui::components::load_error::{RetryButton, retry_while_visible};
use crate::ui::components::text_with_code::TextWithCode;

/// The page for unknown addresses, with status 404.
#[component]
pub fn NotFound() -> impl IntoView {
    #[cfg(feature = "ssr")]
    crate::calls::context::set_status(404);
    view! {
        <Title text="Not found"/>
        <EmptyPage title="Page not found" detail="Check the address."/>
    }
}

/// A page without content that says why. With `retry`, it tries to load the content again.
#[component]
fn EmptyPage(
    #[prop(into)] title: String,
    #[prop(into)] detail: String,
    #[prop(optional_no_strip)] retry: Option<Callback<()>>,
) -> impl IntoView {
    if let Some(retry) = retry {
        retry_while_visible(retry);
    }
    view! {
        <div class="m-auto flex max-w-md flex-col items-center px-6 py-24 text-center">
            <h1 class="text-xl font-semibold tracking-tight">{title}</h1>
            <p class="mt-2 text-sm break-words text-soft"><TextWithCode text=detail/></p>
            <div class="mt-6 flex gap-2">
                {retry.map(|retry| view! { <RetryButton retry/> })}
                <a href=base::path("/") class="button">"All runs"</a>
            </div>
        </div>
    }
}

/// A page whose data could not be loaded. If the problem is retryable, the data is requested again until it arrives.
#[component]
pub fn LoadErrorPage(problem: Problem, retry: Callback<()>) -> impl IntoView {
    let Problem { title, detail, retryable, .. } = problem;
    view! {
        <Title text=title.clone()/>
        <EmptyPage title detail retry=retryable.then_some(retry)/>
    }
}
