//! All schedules: when each is due, what it skipped, and whether it is paused.

use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_meta::Title;

use crate::browser::{PageEvent, PageEvents, Timer, is_visible};
use crate::calls::triggers::read_schedules;
use crate::model::Role;
use crate::model::trigger::{ScheduleList, ScheduleView};
use crate::ui::account::can;
use crate::ui::components::again::Unanswered;
use crate::ui::components::notice::ProblemNotice;
use crate::ui::components::schedule::{ScheduleActions, ScheduleRow};
use crate::ui::slot::Slot;
use crate::ui::triggers::Triggers;

/// How often it is looked at again, in milliseconds.
const AGAIN_MS: u64 = 5000;

/// The page.
#[component]
pub fn SchedulesPage() -> impl IntoView {
    let first = Resource::new_blocking(|| (), |()| read_schedules());
    let again = Callback::new(move |()| first.refetch());
    // What is shown; empty until the first answer.
    let list = RwSignal::new(None::<ScheduleList>);
    let look = move || {
        spawn_local(async move {
            if let Ok(now) = read_schedules().await
                && list.try_with_untracked(|known| known.as_ref() != Some(&now)) == Some(true)
            {
                list.try_set(Some(now));
            }
        });
    };
    let actions = ScheduleActions::new();
    let triggers = Triggers::of_page();
    Effect::new(move |before: Option<usize>| {
        let done = actions.done();
        if before.is_some_and(|before| before != done) {
            look();
            triggers.iter().for_each(|triggers| triggers.refresh());
        }
        done
    });
    let timer = Slot::new();
    Effect::new(move |_| {
        timer.keep(Timer::every(AGAIN_MS, move || {
            if is_visible() {
                look();
            }
        }));
        let listening = PageEvents::listen(move |event| {
            if matches!(event, PageEvent::Visible | PageEvent::Returned) {
                look();
            }
        });
        StoredValue::new_local(listening);
    });
    let shown = move || {
        Suspend::new(async move {
            match first.await {
                Ok(found) => {
                    if list.with_untracked(Option::is_none) {
                        list.set(Some(found));
                    }
                    view! { <List list actions/> }.into_any()
                }
                Err(problem) => view! { <Unanswered problem again/> }.into_any(),
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
    let of =
        move |look: fn(&ScheduleList) -> bool| Memo::new(move |_| list.with(|list| list.as_ref().is_some_and(look)));
    let any_paused =
        of(|list| list.paused.is_some() || list.schedules.iter().any(|schedule| schedule.paused.is_some()));
    let any_active = of(|list| list.paused.is_none() && list.schedules.iter().any(|one| one.paused.is_none()));
    let is_empty = of(|list| list.schedules.is_empty());
    let row = move |schedule: ScheduleView| {
        let (pipeline, name) = (schedule.pipeline.clone(), schedule.name.clone());
        // As it is now; a form that somebody fills in stays open meanwhile.
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
            <div class="ml-auto flex flex-wrap gap-2" class:hidden=!can(Role::Operator)>
                {move || any_active.get().then(|| actions.pause("", ""))}
                {move || any_paused.get().then(|| actions.resume("", ""))}
            </div>
        </div>
        {move || is_empty.get().then(|| view! {
            <p class="text-sm text-soft">
                "No pipeline has a schedule. Add one to its file with "
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
