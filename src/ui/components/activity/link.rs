//! Links to frames. With JavaScript the log scrolls there; without it, the server renders the page with the frames
//! around the target.

use leptos::ev;
use leptos::prelude::*;

use crate::browser;
use crate::model::RunId;
use crate::ui::components::review::Tab;

/// The seq in `?at=`. A position in a patch, which has another form, is none.
pub fn parse_seq(value: Option<String>) -> Option<u64> {
    value.and_then(|value| value.parse().ok()).filter(|&seq| seq > 0)
}

/// Tells the log that a link to a frame was clicked, also if the address does not change.
#[derive(Clone, Copy)]
pub struct FrameLinks {
    /// The seq of the last link clicked.
    pub clicked: RwSignal<Option<u64>>,
    /// The current tab. On the log tab, a link only scrolls.
    tab: Memo<Tab>,
}

impl FrameLinks {
    pub fn new(tab: Memo<Tab>) -> Self {
        Self { clicked: RwSignal::new(None), tab }
    }

    fn from_context() -> Option<Self> {
        use_context()
    }
}

/// The address of the run page at this frame. `attempt` is `None` for the current one.
fn address(run: &RunId, attempt: Option<u32>, seq: u64) -> String {
    let page = Tab::Activity.address(run, attempt);
    let separator = if page.contains('?') { '&' } else { '?' };
    format!("{page}{separator}at={seq}#f{seq}")
}

#[component]
pub fn FrameLink(
    run: RunId,
    /// `None` for the current attempt.
    attempt: Option<u32>,
    seq: u64,
    class: &'static str,
    children: Children,
) -> impl IntoView {
    let links = FrameLinks::from_context();
    let on_click = move |event: ev::MouseEvent| {
        let modified = event.ctrl_key() || event.meta_key() || event.shift_key();
        let Some(links) = links.filter(|_| !modified) else { return };
        if links.tab.get_untracked() == Tab::Activity {
            event.prevent_default();
            browser::set_hash(&format!("f{seq}"));
        }
        links.clicked.set(Some(seq));
    };
    view! {
        // Not the router's link: it ignores the query when it decides whether a link is the current page.
        <a href=address(&run, attempt, seq) data-noscroll class=class on:click=on_click>
            {children()}
        </a>
    }
}
