//! The phases of an attempt.

use leptos::prelude::*;

use super::activity::FrameLink;
use super::icon::Icon;
use super::time::Elapsed;
use crate::feed::RunState;
use crate::model::kinds::Progress;
use crate::model::{Phase, PhaseState, Status, Timestamp, plan};
use crate::ui::format;

/// Icon, color and word of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseAppearance {
    pub state: PhaseState,
    /// The status of the attempt whose end cut the phase off. The state of such a phase is `failed`, but it did not
    /// fail by itself.
    pub cut_off_by: Option<Status>,
}

impl PhaseAppearance {
    pub const fn icon(self) -> Icon {
        if self.cut_off_by.is_some() { Icon::Stopped } else { Icon::of_phase(self.state) }
    }

    pub const fn color(self) -> &'static str {
        if self.cut_off_by.is_some() { "text-soft" } else { color(self.state) }
    }

    pub const fn word(self) -> &'static str {
        match self.cut_off_by {
            None => self.state.as_str(),
            Some(Status::Cancelled) => "cancelled",
            Some(_) => "interrupted",
        }
    }
}

const fn color(state: PhaseState) -> &'static str {
    match state {
        PhaseState::Pending | PhaseState::Skipped => "text-faint",
        PhaseState::Started => "text-info",
        PhaseState::Completed => "text-ok",
        PhaseState::Failed => "text-bad",
    }
}

#[component]
pub fn PhaseList(
    /// The state of the run in the selected attempt.
    #[prop(into)]
    state: Signal<RunState>,
    /// The selected attempt, if it is an earlier one.
    earlier: Memo<Option<u32>>,
) -> impl IntoView {
    let names = Memo::new(move |_| {
        state.with(|state| state.run.phases.iter().map(|phase| phase.name.clone()).collect::<Vec<_>>())
    });
    view! {
        <ol class="flex flex-col" aria-label="Phases">
            <For each=move || names.get() key=Clone::clone let:name>
                <PhaseItem state earlier name/>
            </For>
        </ol>
    }
}

/// A phase of the selected attempt.
#[derive(Clone, Copy)]
struct PhaseView {
    name: StoredValue<String>,
    run: Signal<RunState>,
    phase: Memo<Option<Phase>>,
    state: Memo<PhaseState>,
    /// See [`PhaseAppearance::cut_off_by`].
    cut_off_by: Memo<Option<Status>>,
}

impl PhaseView {
    fn new(run: Signal<RunState>, name: String) -> Self {
        let name = StoredValue::new(name);
        let is_named = move |phase: &Phase| name.with_value(|name| phase.name == *name);
        let phase =
            Memo::new(move |_| run.with(|state| state.run.phases.iter().find(|&phase| is_named(phase)).cloned()));
        let cut_off_by = Memo::new(move |_| {
            run.with(|state| {
                let cut_off = plan::interrupted_phase(&state.run.phases, state.run.status);
                let cut_off = cut_off.and_then(|at| state.run.phases.get(at));
                cut_off.filter(|phase| is_named(phase)).map(|_| state.run.status)
            })
        });
        let state =
            Memo::new(move |_| phase.with(|phase| phase.as_ref().map_or(PhaseState::Pending, |phase| phase.state)));
        Self { name, run, phase, state, cut_off_by }
    }

    /// Looks the phase up in the state of the run. Tracked.
    fn find<T>(self, find: impl FnOnce(&RunState, &String) -> Option<T>) -> Option<T> {
        self.run.with(|run| self.name.with_value(|name| find(run, name)))
    }

    fn appearance(self) -> PhaseAppearance {
        PhaseAppearance { state: self.state.get(), cut_off_by: self.cut_off_by.get() }
    }

    /// The signal or the exit code of a command that did not succeed.
    fn exit(self) -> Option<String> {
        let code = self.phase.with(|phase| phase.as_ref().and_then(|phase| phase.exit_code));
        let signal = self.find(|run, name| run.signals.get(name).cloned());
        code.filter(|&code| code != 0).map(|code| signal.unwrap_or_else(|| format!("exit code {code}")))
    }
}

#[component]
fn PhaseItem(state: Signal<RunState>, earlier: Memo<Option<u32>>, name: String) -> impl IntoView {
    let view = PhaseView::new(state, name.clone());
    let progress = Memo::new(move |_| view.find(|run, name| run.progress.get(name).cloned()));
    let is_running = move || view.state.get() == PhaseState::Started;
    let is_cut_off = move || view.cut_off_by.get().is_some();
    view! {
        <li
            class="group relative flex gap-2.5 pb-3 last:pb-0"
            data-testid="phase"
            data-phase=name
            data-state=move || view.state.get().as_str()
        >
            <span
                class="absolute top-5 bottom-0 left-[0.4375rem] w-px bg-line group-last:hidden"
                aria-hidden="true"
            ></span>
            <span class=move || format!("mt-0.5 {}", view.appearance().color())>{move || view.appearance().icon().draw()}</span>
            <div class="min-w-0 flex-1">
                <div class="flex items-baseline justify-between gap-3">
                    <span class="min-w-0 truncate text-sm font-medium"><PhaseTitle view earlier/></span>
                    <span class="shrink-0 text-xs text-soft"><PhaseTime view/></span>
                </div>
                {move || is_cut_off().then(|| view! { <p class="text-xs text-soft">{view.appearance().word()}</p> })}
                <span class="sr-only">{move || if is_cut_off() { "" } else { view.state.get().as_str() }}</span>
                {move || view.exit().map(|exit| view! { <p class="text-xs font-medium text-bad">{exit}</p> })}
                {move || progress.get().filter(|_| is_running()).map(meter)}
            </div>
        </li>
    }
}

/// The name, which links to the first frame of the phase.
#[component]
fn PhaseTitle(view: PhaseView, earlier: Memo<Option<u32>>) -> impl IntoView {
    let start = Memo::new(move |_| view.find(|run, name| run.starts.get(name).copied()));
    let run = view.run.with_untracked(|state| state.run.id.clone());
    let name = view.name.get_value();
    move || {
        let (run, name) = (run.clone(), name.clone());
        match start.get() {
            Some(seq) => {
                let attempt = earlier.get();
                view! { <FrameLink run attempt seq class="underline-offset-2 hover:underline">{name}</FrameLink> }
                    .into_any()
            }
            None => name.into_any(),
        }
    }
}

/// The duration, or what the phase waits for.
#[component]
fn PhaseTime(view: PhaseView) -> impl IntoView {
    let PhaseView { phase, state, .. } = view;
    let needs_approval = Memo::new(move |_| {
        view.find(|run, name| (run.run.phase.as_ref() == Some(name)).then_some(run.run.approval.is_some()))
    });
    let from = Signal::derive(move || phase.with(|phase| phase.as_ref().and_then(|phase| phase.started_at)));
    // From the frame: the two times include the writes to the journal.
    let duration = Memo::new(move |_| view.find(|run, name| run.durations_ms.get(name).copied()));
    let to = Signal::derive(move || {
        let finished_at = phase.with(|phase| phase.as_ref().and_then(|phase| phase.finished_at))?;
        let end = from.get().zip(duration.get());
        let end = end.map(|(from, duration)| Timestamp(from.0.saturating_add_unsigned(duration)));
        Some(end.unwrap_or(finished_at))
    });
    move || match state.get() {
        PhaseState::Pending if needs_approval.get() == Some(true) => {
            view! { <span class="text-warn">"needs approval"</span> }.into_any()
        }
        PhaseState::Pending => view! { <span class="text-faint">"pending"</span> }.into_any(),
        PhaseState::Skipped => view! { <span class="text-faint">"skipped"</span> }.into_any(),
        PhaseState::Started | PhaseState::Completed | PhaseState::Failed => view! { <Elapsed from to/> }.into_any(),
    }
}

fn meter(progress: Progress) -> impl IntoView {
    let unit = if progress.unit.is_empty() { String::new() } else { format!(" {}", progress.unit) };
    let words = match progress.total {
        Some(total) => format!("{} of {}{unit}", format::count(progress.done), format::count(total)),
        None => format!("{}{unit}", format::count(progress.done)),
    };
    view! {
        <div class="mt-1 flex items-center gap-2 text-xs text-soft tabular-nums">
            {progress.total.map(|total| {
                view! { <progress class="meter w-full max-w-28" max=total.max(1) value=progress.done.min(total)></progress> }
            })}
            <span class="truncate">{words}</span>
        </div>
    }
}
