//! What the panel of a run's page shows. The address says it, so that links and the back button work.

use leptos::prelude::*;

use crate::base;
use crate::feed::RunState;
use crate::model::RunId;
use crate::ui::format;

/// What is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    /// Every frame.
    #[default]
    Activity,
    /// The findings as a table.
    Findings,
    /// The patches as diffs.
    Changes,
}

impl Tab {
    const ALL: [Self; 3] = [Self::Activity, Self::Findings, Self::Changes];

    /// The tab that an address asks for by `?tab=`; Activity for anything else.
    pub fn of(word: Option<String>) -> Self {
        Self::ALL.into_iter().find(|tab| Some(tab.word()) == word.as_deref()).unwrap_or_default()
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Activity => "activity",
            Self::Findings => "findings",
            Self::Changes => "changes",
        }
    }

    /// The title for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Activity => "Activity",
            Self::Findings => "Findings",
            Self::Changes => "Changes",
        }
    }

    /// The address of a run's page that shows this, of an earlier attempt or of the newest one.
    pub fn address(self, run: &RunId, attempt: Option<u32>) -> String {
        let tab = match self {
            Self::Activity => None,
            Self::Findings | Self::Changes => Some(format!("tab={}", self.word())),
        };
        let attempt = attempt.map(|attempt| format!("attempt={attempt}"));
        let query = attempt.into_iter().chain(tab).collect::<Vec<_>>().join("&");
        let page = base::path(&format!("/runs/{run}"));
        if query.is_empty() { page } else { format!("{page}?{query}") }
    }
}

/// The tabs, if there is more than activity.
#[component]
pub fn Tabs(
    /// The run.
    id: RunId,
    /// Its state in the attempt that is shown.
    #[prop(into)]
    state: Signal<RunState>,
    /// The attempt, if it is an earlier one.
    attempt: Memo<Option<u32>>,
    /// What is shown.
    tab: Memo<Tab>,
) -> impl IntoView {
    let review_counts = Memo::new(move |_| state.with(|state| state.review_counts));
    let there = move || review_counts.get().findings + review_counts.get().patches > 0 || tab.get() != Tab::Activity;
    let link = move |each: Tab| {
        let id = id.clone();
        let count = move || match each {
            Tab::Activity => None,
            Tab::Findings => Some(review_counts.get().findings),
            Tab::Changes => Some(review_counts.get().patches),
        };
        view! {
            // The router's own link takes every address of this page for the current one.
            <a
                href=move || each.address(&id, attempt.get())
                data-noscroll
                class="tab"
                data-testid=format!("tab-{}", each.word())
                aria-current=move || (tab.get() == each).then_some("page")
            >
                {each.title()}
                {move || count().map(|count| view! { <span class="tab-count">{format::count(count)}</span> })}
            </a>
        }
    };
    view! {
        <nav class="flex gap-1" class:hidden=move || !there() aria-label="What is shown">
            {Tab::ALL.map(link)}
        </nav>
    }
}
