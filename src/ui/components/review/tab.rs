//! What the panel of a run's page shows. The address says it, so that links and the back button work.

use leptos::prelude::*;

use crate::activity::RunState;
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

    /// The address of a run's page that shows this.
    pub fn address(self, run: &RunId) -> String {
        match self {
            Self::Activity => format!("/runs/{run}"),
            Self::Findings | Self::Changes => format!("/runs/{run}?tab={}", self.word()),
        }
    }
}

/// The tabs, if there is more than activity.
#[component]
pub fn Tabs(
    /// The run.
    id: RunId,
    /// Its state.
    state: RwSignal<RunState>,
    /// What is shown.
    tab: Memo<Tab>,
) -> impl IntoView {
    let tally = Memo::new(move |_| state.with(|state| state.tally));
    let there = move || tally.get().findings + tally.get().patches > 0 || tab.get() != Tab::Activity;
    let link = move |each: Tab| {
        let count = move || match each {
            Tab::Activity => None,
            Tab::Findings => Some(tally.get().findings),
            Tab::Changes => Some(tally.get().patches),
        };
        view! {
            // The router's own link takes every address of this page for the current one.
            <a
                href=each.address(&id)
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
