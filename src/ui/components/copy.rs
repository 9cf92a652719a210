//! A button that copies a text.

use leptos::prelude::*;

use super::icon::Icon;
use crate::browser::{self, Timer};
use crate::ui::slot::Slot;

/// Copies a text, and says for a moment that it did.
#[component]
pub fn CopyButton(
    /// What is copied.
    #[prop(into)]
    text: Signal<String>,
    /// What the button is called.
    label: &'static str,
) -> impl IntoView {
    let copied = RwSignal::new(false);
    let timer = Slot::new();
    let copy = move |_| {
        if browser::copy(&text.get_untracked()) {
            copied.set(true);
            timer.keep(Timer::after(1500, move || {
                copied.try_set(false);
            }));
        }
    };
    view! {
        <button
            type="button"
            class="button button-icon button-small"
            title=label
            aria-label=move || if copied.get() { "Copied" } else { label }
            on:click=copy
        >
            {move || if copied.get() { Icon::Tick } else { Icon::Copy }.draw()}
        </button>
    }
}
