//! Says on every page that schedules are paused.

use leptos::prelude::*;

use super::icon::Icon;
use super::time::Moment;
use crate::base;
use crate::feed::visible::plain;
use crate::model::trigger::{PauseSummary, SchedulePause};
use crate::ui::format;
use crate::ui::triggers::Triggers;

/// The banner, if any schedule is paused.
#[component]
pub fn PausedBanner() -> impl IntoView {
    let Some(triggers) = Triggers::of_page() else { return ().into_any() };
    let banner = move || {
        Suspend::new(async move {
            let news = triggers.known().await;
            move || news().paused.map(|paused| view! { <Banner paused/> })
        })
    };
    view! { <Transition>{banner}</Transition> }.into_any()
}

#[component]
fn Banner(paused: PauseSummary) -> impl IntoView {
    let what = words(&paused);
    let PauseSummary { first: SchedulePause { at, by, reason, .. }, differs, .. } = paused;
    let reason = (!reason.is_empty()).then(|| plain(&format!(": {reason}")));
    view! {
        <div role="status" class="border-b border-line bg-warn-wash text-sm" data-testid="paused-banner">
            <div class="mx-auto flex w-full max-w-[88rem] gap-2 px-4 py-2 lg:px-6 [&>svg]:mt-0.5 [&>svg]:text-warn">
                {Icon::Stopped.draw()}
                <p class="min-w-0 break-words">
                    <strong class="font-semibold">{what}"."</strong>
                    " Paused "
                    <Moment at=Signal::stored(Some(at))/>
                    {format!(" by {by}")}
                    {reason}
                    {differs.then_some(", and others")}
                    ". "
                    <a href=base::path("/schedules") class="whitespace-nowrap underline underline-offset-2 hover:text-accent">"Schedules"</a>
                </p>
            </div>
        </div>
    }
}

/// How many are paused: `3 schedules are paused`.
fn words(paused: &PauseSummary) -> String {
    match paused {
        PauseSummary { first: SchedulePause { all: true, .. }, .. } => "All schedules are paused".to_owned(),
        PauseSummary { count: 1, .. } => "1 schedule is paused".to_owned(),
        PauseSummary { count, .. } => format!("{} are paused", format::counted(*count, "schedule")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn banner_counts_schedules() {
        let pause = |all| SchedulePause { at: Timestamp(0), by: "me".into(), reason: String::new(), all };
        let paused = |count, all| words(&PauseSummary { count, of: 5, first: pause(all), differs: false });
        assert_eq!(paused(1, false), "1 schedule is paused");
        assert_eq!(paused(3, false), "3 schedules are paused");
        assert_eq!(paused(5, true), "All schedules are paused");
    }
}
