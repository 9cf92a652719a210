//! Links to frames. With scripts the list goes there; without, the server renders the page with the frames around it.

use leptos::prelude::*;
use leptos_router::components::A;

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
}

impl FrameLinks {
    /// No link was pressed.
    pub fn new() -> Self {
        Self { pressed: RwSignal::new(None) }
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
    let on_click = move |_| {
        if let Some(links) = links {
            links.pressed.set(Some(seq));
        }
    };
    view! {
        <A href=address(&run, attempt, seq) scroll=false attr:class=class on:click=on_click>
            {children()}
        </A>
    }
}
