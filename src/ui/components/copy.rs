//! A button that copies a text to the clipboard.

use leptos::prelude::*;

use super::icon::Icon;
use crate::browser::{self, Timer};
use crate::ui::scoped_handle::ScopedHandle;

/// How long the tick is shown.
const CONFIRMATION_MS: u64 = 1500;

/// Copies a text, and confirms it for a moment.
#[component]
pub fn CopyButton(#[prop(into)] text: Signal<String>, label: &'static str) -> impl IntoView {
    let copied = RwSignal::new(false);
    let timer = ScopedHandle::new();
    let copy = move |_| {
        if browser::copy(&text.get_untracked()) {
            copied.set(true);
            timer.replace(Timer::after(CONFIRMATION_MS, move || {
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
