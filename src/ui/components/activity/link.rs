//! Links to frames. With scripts the list goes there; without, the server renders the page with the frames around it.

use leptos::ev;
use leptos::prelude::*;

use crate::browser;
use crate::model::RunId;
use crate::ui::components::review::Tab;

/// The seq in an address (`?at=`), if it has one. A place in a patch has other characters too.
pub fn seq(word: Option<String>) -> Option<u64> {
    word.and_then(|word| word.parse().ok()).filter(|&seq| seq > 0)
}

/// Tells the list of a run's page that a link to a frame was pressed, also one that the address has already.
#[derive(Clone, Copy)]
pub struct FrameLinks {
    /// The seq of the frame.
    pub pressed: RwSignal<Option<u64>>,
    /// Which part of the page is shown. If it is the list, the page need not change for a link.
    tab: Memo<Tab>,
}

impl FrameLinks {
    /// No link was pressed.
    pub fn new(tab: Memo<Tab>) -> Self {
        Self { pressed: RwSignal::new(None), tab }
    }

    /// Those of the run's page, where there is one.
    fn of_page() -> Option<Self> {
        use_context()
    }
}

/// The address of a run's page that shows this frame, of an earlier attempt or of the newest one.
fn address(run: &RunId, attempt: Option<u32>, seq: u64) -> String {
    let page = Tab::Activity.address(run, attempt);
    let sign = if page.contains('?') { '&' } else { '?' };
    format!("{page}{sign}at={seq}#f{seq}")
}

/// A link to a frame.
#[component]
pub fn FrameLink(
    /// The run.
    run: RunId,
    /// The attempt, if it is an earlier one.
    attempt: Option<u32>,
    /// The frame's seq.
    seq: u64,
    /// How the link looks.
    class: &'static str,
    /// What the link says.
    children: Children,
) -> impl IntoView {
    let links = FrameLinks::of_page();
    let on_click = move |event: ev::MouseEvent| {
        let modified = event.ctrl_key() || event.meta_key() || event.shift_key();
        let Some(links) = links.filter(|_| !modified) else { return };
        if links.tab.get_untracked() == Tab::Activity {
            event.prevent_default();
            browser::set_hash(&format!("f{seq}"));
        }
        links.pressed.set(Some(seq));
    };
    view! {
        // The router's own link takes every address of this page for the current one.
        <a href=address(&run, attempt, seq) data-noscroll class=class on:click=on_click>
            {children()}
        </a>
    }
}
