//! Notices of deliveries that were refused and of due times that were skipped.

use leptos::prelude::*;

use super::code::Words;
use super::icon::Icon;
use super::time::Moment;
use crate::base;
use crate::model::trigger::{RecentRefusals, RecentSkips};
use crate::ui::format;
use crate::ui::triggers::Triggers;

/// Notices, if deliveries were refused or due times skipped in the last day.
#[component]
pub fn TriggerNotices() -> impl IntoView {
    let Some(triggers) = Triggers::of_page() else { return ().into_any() };
    // The page may have been away from here for a while.
    Effect::new(move |_| triggers.look());
    let notices = move || {
        Suspend::new(async move {
            let news = triggers.known().await;
            move || {
                let news = news();
                let refused = news.refused.map(|refused| view! { <RefusedNotice refused/> });
                let skipped = news.skipped.map(|skipped| view! { <SkippedNotice skipped/> });
                (refused, skipped)
            }
        })
    };
    view! { <Transition>{notices}</Transition> }.into_any()
}

#[component]
fn RefusedNotice(refused: RecentRefusals) -> impl IntoView {
    let RecentRefusals { calls, last } = refused;
    let counted = match calls {
        1 => "A delivery was refused".to_owned(),
        _ => format!("{} were refused", format::counted(calls, "delivery")),
    };
    view! {
        <section class="mt-4 shrink-0 rounded-lg bg-warn-wash px-4 py-3" data-testid="refused-deliveries" aria-labelledby="refused-title">
            <h2 id="refused-title" class="flex items-center gap-2 text-sm font-semibold text-warn">
                {Icon::Warning.draw()}
                {counted}
            </h2>
            <p class="mt-1 text-xs break-words text-soft">
                <span class="font-mono">{last.pipeline}</span>
                ", "
                <Moment at=Signal::stored(Some(last.at))/>
                ": "
                <Words text=last.reason.unwrap_or_default()/>
                " "
                <a href=base::path("/deliveries?result=refused") class="whitespace-nowrap underline underline-offset-2 hover:text-accent">
                    "All of them"
                </a>
            </p>
        </section>
    }
}

#[component]
fn SkippedNotice(skipped: RecentSkips) -> impl IntoView {
    let RecentSkips { schedules, pipeline, skipped, .. } = skipped;
    let others = (schedules > 1).then(|| {
        format!(" So did {} other schedules.", schedules - 1).replace(" 1 other schedules", " another schedule")
    });
    view! {
        <p class="mt-4 shrink-0 px-1 text-xs break-words text-soft" data-testid="skipped-due-times">
            <span class="font-mono">{pipeline}</span>
            {format!(" skipped {}, the last ", format::counted(skipped.count, "due time"))}
            <Moment at=Signal::stored(Some(skipped.last))/>
            {format!(": {}.", skipped.reason)}
            {others}
        </p>
    }
}
