//! The phases of an attempt.

use leptos::prelude::*;

use super::activity::FrameLink;
use super::icon::Icon;
use super::time::Elapsed;
use crate::feed::RunState;
use crate::model::kinds::Progress;
use crate::model::{Phase, PhaseState, Timestamp, plan};
use crate::ui::format;

/// How a phase is drawn: what became of it, and whether it ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looks {
    /// What became of it.
    pub state: PhaseState,
    /// Whether it ended because its attempt did, which is no fault of its own. Its state says that it failed.
    pub cut_off: bool,
}

impl Looks {
    /// Its icon.
    pub const fn icon(self) -> Icon {
        if self.cut_off { Icon::Stopped } else { Icon::of_phase(self.state) }
    }

    /// Its colour.
    pub const fn colour(self) -> &'static str {
        if self.cut_off { "text-soft" } else { colour(self.state) }
    }

    /// Its word.
    pub const fn word(self) -> &'static str {
        if self.cut_off { "stopped" } else { self.state.as_str() }
    }
}

/// The colour of a phase's state.
const fn colour(state: PhaseState) -> &'static str {
    match state {
        PhaseState::Pending | PhaseState::Skipped => "text-faint",
        PhaseState::Started => "text-info",
        PhaseState::Completed => "text-ok",
        PhaseState::Failed => "text-bad",
    }
}

/// The phases, each with what became of it.
#[component]
pub fn PhaseList(
    /// The run's state in the attempt that is shown.
    #[prop(into)]
    state: Signal<RunState>,
    /// The attempt, if it is an earlier one.
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

#[component]
fn PhaseItem(state: Signal<RunState>, earlier: Memo<Option<u32>>, name: String) -> impl IntoView {
    let key = StoredValue::new(name.clone());
    let start = Memo::new(move |_| state.with(|state| key.with_value(|name| state.starts.get(name).copied())));
    let run = state.with_untracked(|state| state.run.id.clone());
    let title = {
        let name = name.clone();
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
    };
    let phase = Memo::new(move |_| {
        state.with(|state| {
            let named = |phase: &&Phase| key.with_value(|name| phase.name == *name);
            state.run.phases.iter().find(named).cloned()
        })
    });
    let progress = Memo::new(move |_| state.with(|state| key.with_value(|name| state.progress.get(name).cloned())));
    let what = Memo::new(move |_| phase.with(|phase| phase.as_ref().map_or(PhaseState::Pending, |phase| phase.state)));
    let cut_off = Memo::new(move |_| {
        state.with(|state| {
            let cut_off =
                plan::interrupted_phase(&state.run.phases, state.run.status).and_then(|at| state.run.phases.get(at));
            cut_off.is_some_and(|phase| key.with_value(|name| phase.name == *name))
        })
    });
    let looks = move || Looks { state: what.get(), cut_off: cut_off.get() };
    let from = Signal::derive(move || phase.with(|phase| phase.as_ref().and_then(|phase| phase.started_at)));
    // As long as its frame says: the two times also have what it takes to write them down.
    let took = Memo::new(move |_| state.with(|state| key.with_value(|name| state.took.get(name).copied())));
    let to = Signal::derive(move || {
        let ended = phase.with(|phase| phase.as_ref().and_then(|phase| phase.finished_at))?;
        let told = from.get().zip(took.get()).map(|(from, took)| Timestamp(from.0.saturating_add_unsigned(took)));
        Some(told.unwrap_or(ended))
    });
    let exit = move || {
        let code = phase.with(|phase| phase.as_ref().and_then(|phase| phase.exit_code));
        let signal = state.with(|state| key.with_value(|name| state.signals.get(name).cloned()));
        code.filter(|&code| code != 0).map(|code| signal.unwrap_or_else(|| format!("exit {code}")))
    };
    let asks = Memo::new(move |_| {
        state.with(|state| {
            let named = key.with_value(|name| state.run.phase.as_ref() == Some(name));
            named && state.run.approval.is_some()
        })
    });
    let running = move || what.get() == PhaseState::Started;
    view! {
        <li
            class="group relative flex gap-2.5 pb-3 last:pb-0"
            data-testid="phase"
            data-phase=name.clone()
            data-state=move || what.get().as_str()
        >
            <span
                class="absolute top-5 bottom-0 left-[0.4375rem] w-px bg-line group-last:hidden"
                aria-hidden="true"
            ></span>
            <span class=move || format!("mt-0.5 {}", looks().colour())>{move || looks().icon().draw()}</span>
            <div class="min-w-0 flex-1">
                <div class="flex items-baseline justify-between gap-3">
                    <span class="min-w-0 truncate text-sm font-medium">{title}</span>
                    <span class="shrink-0 text-xs text-soft">
                        {move || match what.get() {
                            PhaseState::Pending if asks.get() => {
                                view! { <span class="text-warn">"asks you"</span> }.into_any()
                            }
                            PhaseState::Pending => view! { <span class="text-faint">"waiting"</span> }.into_any(),
                            PhaseState::Skipped => view! { <span class="text-faint">"skipped"</span> }.into_any(),
                            PhaseState::Started | PhaseState::Completed | PhaseState::Failed => {
                                view! { <Elapsed from to/> }.into_any()
                            }
                        }}
                    </span>
                </div>
                {move || cut_off.get().then(|| view! { <p class="text-xs text-soft">"stopped"</p> })}
                <span class="sr-only">{move || if cut_off.get() { "" } else { what.get().as_str() }}</span>
                {move || exit().map(|exit| view! { <p class="text-xs font-medium text-bad">{exit}</p> })}
                {move || progress.get().filter(|_| running()).map(meter)}
            </div>
        </li>
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
