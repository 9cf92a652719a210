//! A form that calls a server function, and works without JavaScript.

use leptos::prelude::*;

use crate::base;

/// A form that posts to a server function. With JavaScript, `on_submit` dispatches the call instead, and the page
/// stays.
#[component]
pub fn PostForm(
    /// The address of the server function, without the base path.
    url: &'static str,
    #[prop(into)] on_submit: Callback<()>,
    #[prop(optional, into)] hidden: Signal<bool>,
    #[prop(optional)] class: &'static str,
    #[prop(optional)] id: Option<&'static str>,
    children: Children,
) -> impl IntoView {
    view! {
        <form
            id=id
            method="post"
            action=base::path(url)
            class=class
            class:hidden=hidden
            on:submit=move |event| {
                event.prevent_default();
                on_submit.run(());
            }
        >
            {children()}
        </form>
    }
}
