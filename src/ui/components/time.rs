//! Times and lengths of time.

use leptos::prelude::*;

use crate::model::Timestamp;
use crate::ui::clock::Clock;
use crate::ui::format;

/// When something was: how long ago if that says more, with the exact time as its title.
#[component]
pub fn Moment(
    /// When.
    #[prop(into)]
    at: Signal<Option<Timestamp>>,
) -> impl IntoView {
    let clock = Clock::of_page();
    let text = move || {
        at.get().map(|at| {
            let zone = if clock.is_local() { "" } else { " UTC" };
            let ago = clock.since(at).and_then(format::ago);
            ago.unwrap_or_else(|| format::moment(at, clock.offset(at)) + zone)
        })
    };
    view! {
        <time
            datetime=move || at.get().map(|at| at.to_string())
            title=move || at.get().map(|at| clock.exact(at))
            class="tabular-nums"
        >
            {move || text().unwrap_or_else(|| "–".to_owned())}
        </time>
    }
}

/// How long something took, or has taken until now.
#[component]
pub fn Elapsed(
    /// When it began.
    #[prop(into)]
    from: Signal<Option<Timestamp>>,
    /// When it ended, if it has.
    #[prop(into)]
    to: Signal<Option<Timestamp>>,
) -> impl IntoView {
    let clock = Clock::of_page();
    let text = move || match (from.get(), to.get()) {
        (Some(from), Some(to)) => format::duration(to.since(from)),
        (Some(from), None) => clock.since(from).map_or_else(|| "…".to_owned(), format::ticking),
        (None, _) => "–".to_owned(),
    };
    view! { <span class="tabular-nums">{text}</span> }
}
