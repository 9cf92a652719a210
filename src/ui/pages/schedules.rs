//! All schedules: due times, skipped runs and pauses.

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;

use crate::browser::PageEvent;
use crate::calls::triggers::read_schedules;
use crate::model::Role;
use crate::model::trigger::{ScheduleList, ScheduleView};
use crate::ui::components::load_error::LoadError;
use crate::ui::components::notice::ProblemNotice;
use crate::ui::components::schedule::{ScheduleActions, ScheduleRow};
use crate::ui::current_user::has_role;
use crate::ui::refresh::refresh_while_visible;
use crate::ui::triggers::Triggers;

const REFRESH_INTERVAL_MS: u64 = 5000;

#[component]
pub fn SchedulesPage() -> impl IntoView {
    let first = Resource::new_blocking(|| (), |()| read_schedules());
    let retry = Callback::new(move |()| first.refetch());
    // Empty until the first response.
    let list = RwSignal::new(None::<ScheduleList>);
    let refresh = move || {
        spawn_local(async move {
            if let Ok(now) = read_schedules().await
                && list.try_with_untracked(|known| known.as_ref() != Some(&now)) == Some(true)
            {
                list.try_set(Some(now));
            }
        });
    };
    let actions = ScheduleActions::new();
    let triggers = Triggers::from_context();
    Effect::new(move |before: Option<usize>| {
        let done = actions.done();
        if before.is_some_and(|before| before != done) {
            refresh();
            triggers.iter().for_each(|triggers| triggers.refresh());
        }
        done
    });
    refresh_while_visible(REFRESH_INTERVAL_MS, &[PageEvent::Visible, PageEvent::Returned], refresh);
    let shown = move || {
        Suspend::new(async move {
            match first.await {
                Ok(found) => {
                    if list.with_untracked(Option::is_none) {
                        list.set(Some(found));
                    }
                    view! { <List list actions/> }.into_any()
                }
                Err(problem) => view! { <LoadError problem retry/> }.into_any(),
            }
        })
    };
    view! {
        <Title text="Schedules"/>
        <div class="mx-auto flex w-full max-w-[72rem] flex-col gap-4 px-4 py-5 lg:px-6">
            {move || actions.problem().map(|problem| view! { <ProblemNotice problem/> })}
            <Transition fallback=|| view! { <p class="text-sm text-faint">"Loading…"</p> }>{shown}</Transition>
        </div>
    }
}

#[component]
fn List(list: RwSignal<Option<ScheduleList>>, actions: ScheduleActions) -> impl IntoView {
    let of = move |condition: fn(&ScheduleList) -> bool| {
        Memo::new(move |_| list.with(|list| list.as_ref().is_some_and(condition)))
    };
    let any_paused =
        of(|list| list.paused.is_some() || list.schedules.iter().any(|schedule| schedule.paused.is_some()));
    let any_active = of(|list| list.paused.is_none() && list.schedules.iter().any(|one| one.paused.is_none()));
    let is_empty = of(|list| list.schedules.is_empty());
    let row = move |schedule: ScheduleView| {
        let (pipeline, name) = (schedule.pipeline.clone(), schedule.name.clone());
        // A memo rather than a new row, so that a form the user fills in stays open.
        let now = Memo::new(move |_| {
            let is_it = |one: &&ScheduleView| one.pipeline == pipeline && one.name == name;
            let found = list.with(|list| list.iter().flat_map(|list| &list.schedules).find(is_it).cloned());
            found.unwrap_or_else(|| schedule.clone())
        });
        view! { <ScheduleRow schedule=now actions/> }
    };
    view! {
        <div class="flex flex-wrap items-center gap-x-4 gap-y-2">
            <h1 class="text-lg font-semibold tracking-tight">"Schedules"</h1>
            <div class="ml-auto flex flex-wrap gap-2" class:hidden=!has_role(Role::Operator)>
                {move || any_active.get().then(|| actions.pause_form("", ""))}
                {move || any_paused.get().then(|| actions.resume_form("", ""))}
            </div>
        </div>
        {move || is_empty.get().then(|| view! {
            <p class="text-sm text-soft">
                "No schedules yet. Add one to a pipeline file with "
                <code class="font-mono text-[0.92em]">"[[schedules]]"</code>
                "."
            </p>
        })}
        <ul class="flex flex-col gap-3">
            <For
                each=move || list.with(|list| list.iter().flat_map(|list| list.schedules.clone()).collect::<Vec<_>>())
                key=|one| (one.pipeline.clone(), one.name.clone(), one.cron.clone(), one.timezone.clone(), one.paused.is_some())
                children=row
            />
        </ul>
    }
}
