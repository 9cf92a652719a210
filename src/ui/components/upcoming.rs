//! What starts by itself next.

use leptos::prelude::*;

use crate::feed::visible::plain;
use crate::model::{Timestamp, UpcomingRun};
use crate::ui::clock::Clock;
use crate::ui::components::icon::Icon;
use crate::ui::format;

/// How many are shown; the others come later.
const SHOWN: usize = 3;

/// The next due times of schedules, as a card. Nothing if there are none.
#[component]
pub fn UpcomingCard(
    /// The soonest first.
    upcoming: RwSignal<Vec<UpcomingRun>>,
) -> impl IntoView {
    let clock = Clock::of_page();
    let row = |at: UpcomingRun| view! { <UpcomingRow at/> };
    let soonest = Memo::new(move |_| upcoming.with(|all| all.first().map(|first| first.next)));
    let in_short = move || soonest.get().map(|next| ahead(clock, next).unwrap_or_default());
    let others = move || upcoming.with(Vec::len).saturating_sub(SHOWN) as u64;
    view! {
        <Show when=move || !upcoming.with(Vec::is_empty)>
            <details class="card fold mt-4 shrink-0" id="upcoming" data-testid="upcoming">
                <summary class="flex list-none items-center justify-between gap-3 px-4 py-3 text-sm font-semibold [&::-webkit-details-marker]:hidden">
                    "Upcoming"
                    <span class="flex items-center gap-2 font-normal text-faint lg:hidden">
                        <span class="text-xs tabular-nums">{in_short}</span>
                        <span class="fold-mark transition-transform">{Icon::Fold.draw()}</span>
                    </span>
                </summary>
                <ul class="flex flex-col gap-2.5 px-4 pb-3.5">
                    <For
                        each=move || upcoming.with(|all| all.iter().take(SHOWN).cloned().collect::<Vec<_>>())
                        key=|at| (at.pipeline.clone(), at.name.clone(), at.cron.clone(), at.timezone.clone(), at.next)
                        children=row
                    />
                </ul>
                <Show when=move || { others() > 0 }>
                    <p class="px-4 pb-3.5 text-xs text-faint">{move || format!("and {} more", others())}</p>
                </Show>
            </details>
        </Show>
    }
}

/// One due time: of which pipeline, in how long, and when on the clocks of its time zone.
#[component]
fn UpcomingRow(at: UpcomingRun) -> impl IntoView {
    let clock = Clock::of_page();
    let UpcomingRun { pipeline, title, name, cron, timezone, next, local } = at;
    let title = plain(&title);
    let place = format!("{local} in {timezone} ({cron})");
    let on_hover = move || format!("{place}\n{}", clock.exact(next));
    view! {
        <li class="min-w-0" data-testid="schedule" data-pipeline=pipeline>
            <div class="flex items-baseline justify-between gap-3">
                <span class="min-w-0 truncate text-sm font-medium" title=title.clone()>{title.clone()}</span>
                <span class="shrink-0 text-xs text-soft tabular-nums" data-testid="countdown">{move || ahead(clock, next)}</span>
            </div>
            <p class="flex gap-1 text-xs text-faint">
                <time class="shrink-0" datetime=next.to_string() title=on_hover>
                    {format!("{local} {}", place_of(&timezone))}
                </time>
                {(!name.is_empty()).then(|| view! { <span class="min-w-0 truncate" title=name.clone()>{format!("· {name}")}</span> })}
            </p>
        </li>
    }
}

/// How long it is until then, once the page is alive.
fn ahead(clock: Clock, next: Timestamp) -> Option<String> {
    clock.until(next).map(format::ahead)
}

/// What people call a time zone: `Berlin`.
fn place_of(zone: &str) -> String {
    zone.rsplit('/').next().unwrap_or(zone).replace('_', " ")
}
