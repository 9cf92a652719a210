//! Two attempts side by side.

use leptos::prelude::*;

use crate::base;
use crate::feed::ansi;
use crate::model::attempt::{Attempt, AttemptPhase};
use crate::model::compare::{AttemptComparison, LogComparison, LogDifference, LogLine, ParamDifference, PhasePair};
use crate::model::{LogStream, ParamValue, PhaseState, RunId, plan};
use crate::ui::components::activity::row::styled;
use crate::ui::components::phases::Looks;
use crate::ui::components::review::Tab;
use crate::ui::components::status::StatusBadge;
use crate::ui::components::time::Moment;
use crate::ui::components::visible::visible;
use crate::ui::format;

/// The columns of all that is compared: what it is, the one, the other, the difference. `.compare` in the style sheet has them too.
const COLUMNS: &str = "sm:grid-cols-[minmax(0,1.1fr)_minmax(0,1fr)_minmax(0,1fr)_5rem]";

/// A comparison. `newest` is the run's current attempt.
#[component]
pub fn ComparisonView(
    /// The run.
    id: RunId,
    /// What is compared.
    comparison: AttemptComparison,
    /// The run's current attempt.
    newest: u32,
) -> impl IntoView {
    let AttemptComparison { a, b, params, phases } = comparison;
    let longest = [a.duration_ms(), b.duration_ms()].into_iter().flatten().max().unwrap_or(0);
    let longest_phase = phases.iter().flat_map(|pair| [took(pair.a.as_ref()), took(pair.b.as_ref())]);
    let longest_phase = longest_phase.flatten().max().unwrap_or(0);
    let numbers = (a.attempt, b.attempt);
    let active = a.status.is_active() || b.status.is_active();
    let params = params_that_differ(params, numbers);
    let change = difference(a.duration_ms(), b.duration_ms());
    let cut_off = [&a, &b].map(cut_off);
    let sides = [a, b].map(|attempt| side(&id, attempt, newest, longest));
    let phases = phases.into_iter().map(|pair| phase(&id, pair, numbers, &cut_off, longest_phase)).collect_view();
    view! {
        <section class=format!("card grid gap-x-6 gap-y-4 px-5 py-4 {COLUMNS}") aria-labelledby="compare-all">
            <h2 id="compare-all" class="text-sm font-semibold max-sm:sr-only">"The whole attempt"</h2>
            {sides}
            <p class="text-xs text-soft tabular-nums sm:text-right" data-testid="compare-difference">
                <span class="pr-2 text-faint sm:sr-only">"Difference "</span>
                {change}
            </p>
        </section>
        <p class="text-xs text-soft" class:hidden=!active>
            "One of them is not over. This is how far they were when this page was loaded."
        </p>
        {params}
        <section class="flex flex-col gap-3" aria-labelledby="compare-phases">
            <h2 id="compare-phases" class="text-sm font-semibold">"Phases"</h2>
            {phases}
        </section>
    }
}

/// The phase that ended because the attempt did.
fn cut_off(attempt: &Attempt) -> Option<String> {
    let phases: Vec<_> = attempt.phases.iter().map(|phase| phase.phase.clone()).collect();
    plan::interrupted_phase(&phases, attempt.status).and_then(|at| phases.get(at)).map(|phase| phase.name.clone())
}

fn side(id: &RunId, attempt: Attempt, newest: u32, longest: u64) -> impl IntoView + use<> {
    let number = attempt.attempt;
    let href = Tab::Activity.address(id, (number != newest).then_some(number));
    let took = attempt.duration_ms();
    let status = attempt.status;
    let began = attempt.started_at.or(Some(attempt.queued_at));
    let error = attempt.error.map(|error| {
        view! { <p class="line-clamp-3 text-xs break-words text-bad" title=error.clone()>{error.clone()}</p> }
    });
    view! {
        <div class="flex min-w-0 flex-col items-start gap-1.5" data-testid="compare-side" data-attempt=number data-status=status.as_str()>
            <div class="flex flex-wrap items-center gap-2">
                <a href=href class="text-sm font-semibold underline-offset-2 hover:underline">{format!("Attempt {number}")}</a>
                <StatusBadge status=Signal::stored(status) asks=Signal::stored(false) cancels=Signal::stored(false)/>
            </div>
            <div class="flex items-baseline gap-3 text-xs text-soft">
                <span class="tabular-nums">{took.map_or_else(|| "–".to_owned(), format::duration)}</span>
                <Moment at=Signal::stored(began)/>
            </div>
            {bar(took, longest)}
            {error}
        </div>
    }
}

/// A length of time beside the longest one.
fn bar(took: Option<u64>, longest: u64) -> impl IntoView {
    let took = took.unwrap_or(0);
    view! { <progress class="meter w-full max-w-40" max=longest.max(1) value=took aria-hidden="true"></progress> }
}

fn took(phase: Option<&AttemptPhase>) -> Option<u64> {
    phase.filter(|phase| !phase.carried).and_then(AttemptPhase::duration_ms)
}

/// By how much the other took longer: `+1.2s`, `−40ms`, `the same`.
fn difference(a: Option<u64>, b: Option<u64>) -> String {
    match (a, b) {
        (Some(a), Some(b)) if a == b => "the same".to_owned(),
        (Some(a), Some(b)) if b > a => format!("+{}", format::duration(b - a)),
        (Some(a), Some(b)) => format!("−{}", format::duration(a - b)),
        _ => "–".to_owned(),
    }
}

fn params_that_differ(params: Vec<ParamDifference>, (a, b): (u32, u32)) -> AnyView {
    if params.is_empty() {
        return view! { <p class="text-xs text-soft" data-testid="same-params">"Both have the same parameters."</p> }
            .into_any();
    }
    let value = |value: Option<ParamValue>| match value {
        Some(value) => {
            view! { <span class="font-mono text-xs break-all">{visible(&value.to_string())}</span> }.into_any()
        }
        None => view! { <span class="text-xs text-faint">"nothing"</span> }.into_any(),
    };
    let rows = params.into_iter().map(|ParamDifference { name, a, b }| {
        view! {
            <tr data-testid="param-difference" data-param=name.clone()>
                <th scope="row">{name.clone()}</th>
                <td>{value(a)}</td>
                <td>{value(b)}</td>
            </tr>
        }
    });
    view! {
        <section class="card overflow-x-auto" aria-labelledby="compare-params">
            <h2 id="compare-params" class="px-5 pt-3.5 pb-2 text-sm font-semibold">"Parameters that differ"</h2>
            <table class="compare">
                <thead>
                    <tr>
                        <th scope="col"><span class="sr-only">"Parameter"</span></th>
                        <th scope="col">{format!("Attempt {a}")}</th>
                        <th scope="col">{format!("Attempt {b}")}</th>
                    </tr>
                </thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        </section>
    }
    .into_any()
}

fn phase(
    id: &RunId,
    pair: PhasePair,
    (a, b): (u32, u32),
    cut_off: &[Option<String>; 2],
    longest: u64,
) -> impl IntoView + use<> {
    let PhasePair { name, a: in_a, b: in_b, log } = pair;
    let change = match (took(in_a.as_ref()), took(in_b.as_ref())) {
        (Some(a), Some(b)) => Some(difference(Some(a), Some(b))),
        _ => None,
    };
    let word = match &log {
        None => "none",
        Some(LogComparison::Same { .. }) => "same",
        Some(LogComparison::Differs(_)) => "differs",
        Some(LogComparison::Unknown { .. }) => "unknown",
    };
    let cut_off = cut_off.each_ref().map(|cut_off| cut_off.as_ref() == Some(&name));
    let [cut_a, cut_b] = cut_off;
    let sides =
        [(a, in_a, cut_a), (b, in_b, cut_b)].map(|(attempt, phase, cut)| phase_side(attempt, phase, cut, longest));
    let log = log.map(|log| compared(id, log, (a, b)));
    view! {
        <article class="card overflow-hidden" data-testid="compare-phase" data-phase=name.clone() data-log=word>
            <div class=format!("grid gap-x-6 gap-y-2 px-5 py-3 sm:items-center {COLUMNS}")>
                <h3 class="min-w-0 truncate text-sm font-semibold">{name.clone()}</h3>
                {sides}
                <span class="text-xs text-soft tabular-nums sm:text-right">
                    {change.map(|change| view! { <span class="pr-2 text-faint sm:sr-only">"Difference "</span> {change} })}
                </span>
            </div>
            {log}
        </article>
    }
}

fn phase_side(attempt: u32, phase: Option<AttemptPhase>, cut_off: bool, longest: u64) -> AnyView {
    let label = view! { <span class="w-20 whitespace-nowrap shrink-0 text-faint sm:sr-only">{format!("Attempt {attempt}")}</span> };
    let Some(phase) = phase else {
        return view! { <div class="flex items-center gap-2 text-xs text-faint">{label}"has no such phase"</div> }
            .into_any();
    };
    let AttemptPhase { phase: inner, carried, .. } = &phase;
    let looks = Looks { state: inner.state, cut_off: cut_off && !carried };
    let exit = inner.exit_code.filter(|&code| code != 0).map(|code| format!("exit {code}"));
    let words = match inner.state {
        PhaseState::Pending => "waiting".to_owned(),
        PhaseState::Started => "running".to_owned(),
        PhaseState::Skipped => "skipped".to_owned(),
        PhaseState::Completed | PhaseState::Failed => {
            phase.duration_ms().map_or_else(|| "–".to_owned(), format::duration)
        }
    };
    let ran = !carried && matches!(inner.state, PhaseState::Completed | PhaseState::Failed);
    let carried = carried.then(|| view! { <span class="tag" data-testid="carried">"carried over"</span> });
    view! {
        <div
            class="flex min-w-0 items-center gap-2 text-xs text-soft"
            data-testid="compare-phase-side"
            data-attempt=attempt
            data-state=inner.state.as_str()
        >
            {label}
            <span class=looks.colour()>{looks.icon().draw()}</span>
            <span class="sr-only">{looks.word()}</span>
            <span class="w-14 shrink-0 tabular-nums">{words}</span>
            {ran.then(|| bar(phase.duration_ms(), longest))}
            {carried}
            // Its place is kept, so that the lengths are of one scale.
            {(ran || exit.is_some()).then(|| view! { <span class="w-14 shrink-0 font-medium text-bad">{exit}</span> })}
        </div>
    }
    .into_any()
}

/// What comparing two logs has found.
fn compared(id: &RunId, log: LogComparison, (a, b): (u32, u32)) -> AnyView {
    let quiet = |words: String| {
        view! { <p class="border-t border-line px-5 py-2 text-xs text-faint" data-testid="log-difference">{words}</p> }
            .into_any()
    };
    match log {
        LogComparison::Same { lines: 0 } => quiet("Neither has printed anything.".to_owned()),
        LogComparison::Same { lines } => quiet(format!("Both have the same {}.", format::counted(lines, "line"))),
        LogComparison::Unknown { lines } => {
            let looked = format!("The first {} are the same; ", format::counted(lines, "line"));
            quiet(looked + "it was looked no further, since there is too much more.")
        }
        LogComparison::Differs(LogDifference { line, a: in_a, b: in_b }) => {
            let output = match in_a.as_ref().or(in_b.as_ref()).map(|line| line.stream) {
                Some(LogStream::Stderr) => "Standard error",
                Some(LogStream::Stdout) => "Standard output",
                Some(LogStream::Output) | None => "The output",
            };
            let before = match line {
                1 => format!("{output} differs from its first line on."),
                _ => format!("{output} differs from line {} on.", format::count(line)),
            };
            let sides = [(a, in_a), (b, in_b)].map(|(attempt, found)| line_of(id, attempt, line, found));
            view! {
                <div class="border-t border-line" data-testid="log-difference" data-line=line>
                    <p class="px-5 pt-2 text-xs text-soft">{before}</p>
                    <div class="grid gap-2 px-5 pt-2 pb-3.5 lg:grid-cols-2">{sides}</div>
                </div>
            }
            .into_any()
        }
    }
}

fn line_of(id: &RunId, attempt: u32, line: u64, found: Option<LogLine>) -> impl IntoView + use<> {
    let body = match found {
        None => view! { <p class="px-3 py-2 text-xs text-faint">"It has ended before that."</p> }.into_any(),
        Some(LogLine { seq, stream, text }) => {
            let styled = styled(&ansi::spans(&text));
            let empty = text.is_empty().then(|| view! { <span class="font-sans text-faint">"an empty line"</span> });
            let stderr =
                (stream == LogStream::Stderr).then(|| view! { <span class="tag" data-tone="bad">"stderr"</span> });
            view! {
                <div class="flex items-baseline gap-2 px-3 pt-1.5 text-xs">
                    // Past the router, which does not tell the panel of another frame.
                    <a
                        href=base::path(&format!("/runs/{id}#f{seq}"))
                        rel="external"
                        class="text-accent underline-offset-2 hover:underline"
                        data-testid="difference-frame"
                        data-frame-id=seq
                    >
                        {format!("Line {}", format::count(line))}
                    </a>
                    {stderr}
                </div>
                <pre class="scrollbar-thin overflow-x-auto px-3 pt-1 pb-2 font-mono text-xs break-words whitespace-pre-wrap">{styled}{empty}</pre>
            }
            .into_any()
        }
    };
    view! {
        <div class="min-w-0 rounded-lg border border-line bg-raised" data-testid="difference-side" data-attempt=attempt>
            <p class="border-b border-line px-3 py-1 text-xs font-medium text-soft">{format!("Attempt {attempt}")}</p>
            {body}
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn a_difference_has_its_sign() {
        let cases = [
            (Some(1000), Some(2500), "+1.5s"),
            (Some(2500), Some(1000), "−1.5s"),
            (Some(7), Some(7), "the same"),
            (None, Some(7), "–"),
            (Some(7), None, "–"),
        ];
        for (a, b, expected) in cases {
            assert_eq!(difference(a, b), expected);
        }
    }
}
