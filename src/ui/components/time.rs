//! Times and durations.

use leptos::prelude::*;

use crate::model::Timestamp;
use crate::ui::clock::Clock;
use crate::ui::format;

/// A past time: relative for a week, then a date. The exact time is its title.
#[component]
pub fn Moment(#[prop(into)] at: Signal<Option<Timestamp>>) -> impl IntoView {
    let clock = Clock::from_context();
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

/// The time between `from` and `to`, or until now.
#[component]
pub fn Elapsed(
    #[prop(into)] from: Signal<Option<Timestamp>>,
    #[prop(into)] to: Signal<Option<Timestamp>>,
) -> impl IntoView {
    let clock = Clock::from_context();
    let text = move || match (from.get(), to.get()) {
        (Some(from), Some(to)) => format::duration(to.since(from)),
        (Some(from), None) => clock.since(from).map_or_else(|| "…".to_owned(), format::ticking),
        (None, _) => "–".to_owned(),
    };
    view! { <span class="tabular-nums">{text}</span> }
}
