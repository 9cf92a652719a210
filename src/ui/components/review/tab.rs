//! The tabs of a run page. The current one is in the address, so that links and the back button work.

use leptos::prelude::*;

use crate::base;
use crate::feed::RunState;
use crate::model::RunId;
use crate::ui::format;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    #[default]
    Activity,
    Findings,
    Changes,
}

impl Tab {
    const ALL: [Self; 3] = [Self::Activity, Self::Findings, Self::Changes];

    /// The tab in `?tab=`; [`Self::Activity`] for anything else.
    pub fn of(value: Option<String>) -> Self {
        Self::ALL.into_iter().find(|tab| Some(tab.as_str()) == value.as_deref()).unwrap_or_default()
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Activity => "activity",
            Self::Findings => "findings",
            Self::Changes => "changes",
        }
    }

    pub const fn title(self) -> &'static str {
        match self {
            Self::Activity => "Log",
            Self::Findings => "Findings",
            Self::Changes => "Changes",
        }
    }

    /// The address of the run page at this tab. `attempt` is `None` for the current one.
    pub fn address(self, run: &RunId, attempt: Option<u32>) -> String {
        let tab = match self {
            Self::Activity => None,
            Self::Findings | Self::Changes => Some(format!("tab={}", self.as_str())),
        };
        let attempt = attempt.map(|attempt| format!("attempt={attempt}"));
        let query = attempt.into_iter().chain(tab).collect::<Vec<_>>().join("&");
        let page = base::path(&format!("/runs/{run}"));
        if query.is_empty() { page } else { format!("{page}?{query}") }
    }
}

/// The tabs, if there is more than the log.
#[component]
pub fn Tabs(
    id: RunId,
    /// The state of the run in the selected attempt.
    #[prop(into)]
    state: Signal<RunState>,
    /// The selected attempt, if it is an earlier one.
    attempt: Memo<Option<u32>>,
    tab: Memo<Tab>,
) -> impl IntoView {
    let review_counts = Memo::new(move |_| state.with(|state| state.review_counts));
    let is_needed =
        move || review_counts.get().findings + review_counts.get().patches > 0 || tab.get() != Tab::Activity;
    let link = move |each: Tab| {
        let id = id.clone();
        let count = move || match each {
            Tab::Activity => None,
            Tab::Findings => Some(review_counts.get().findings),
            Tab::Changes => Some(review_counts.get().patches),
        };
        view! {
            // Not the router's link: it ignores the query when it decides whether a link is the current page.
            <a
                href=move || each.address(&id, attempt.get())
                data-noscroll
                class="tab"
                data-testid=format!("tab-{}", each.as_str())
                aria-current=move || (tab.get() == each).then_some("page")
            >
                {each.title()}
                {move || count().map(|count| view! { <span class="tab-count">{format::count(count)}</span> })}
            </a>
        }
    };
    view! {
        <nav class="flex gap-1" class:hidden=move || !is_needed() aria-label="Run details">
            {Tab::ALL.map(link)}
        </nav>
    }
}
