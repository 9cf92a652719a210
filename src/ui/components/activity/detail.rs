//! The marked frame in full.

use std::sync::Arc;

use leptos::prelude::*;

use super::row::{place, styled};
use super::scroll::Scroll;
use crate::feed::ansi;
use crate::feed::visible::directions;
use crate::model::kinds::{DeliveryState, FixSafety, Notification, Outcome};
use crate::model::{Frame, FramePayload};
use crate::ui::clock::Clock;
use crate::ui::components::copy::CopyButton;
use crate::ui::components::icon::Icon;
use crate::ui::components::visible::{direction_warning, visible};
use crate::ui::follow::Follow;
use crate::ui::format;

/// What the marked row stands for, in full.
#[component]
pub fn FrameDetail(
    /// The run's page.
    follow: Follow,
    /// The list's state.
    scroll: Scroll,
) -> impl IntoView {
    // It stays when its row is let go. Texts that are larger than a row shows are fetched.
    let frame = RwSignal::new(None::<Arc<Frame>>);
    Effect::new(move |before: Option<Option<u64>>| {
        let marked = scroll.marked.get();
        let Some((found, is_whole)) = marked.and_then(|row| follow.frame(row)) else {
            if before != Some(marked) {
                frame.set(None);
            }
            return marked;
        };
        let seq = found.seq;
        if frame.with_untracked(|shown| shown.as_ref().map(|shown| shown.seq)) != Some(seq) {
            frame.set(Some(found));
            if !is_whole {
                follow.fetch_whole(seq, frame);
            }
        }
        marked
    });
    move || frame.get().map(|frame| view! { <Detail frame scroll/> })
}

#[component]
fn Detail(frame: Arc<Frame>, scroll: Scroll) -> impl IntoView {
    let clock = Clock::of_page();
    let at = frame.ts;
    let full = plain(&frame.payload);
    let text = match &frame.payload {
        FramePayload::Log(log) => styled(&ansi::spans(&log.line)).into_any(),
        FramePayload::Patch(patch) => diff(&patch.diff).into_any(),
        _ => visible(&full).into_any(),
    };
    let warning = match &frame.payload {
        FramePayload::Patch(patch) => direction_warning(directions([patch.diff.as_str(), patch.path.as_str()])),
        _ => None,
    };
    let stream = match &frame.payload {
        FramePayload::Log(log) => log.stream.as_str(),
        other => other.kind(),
    }
    .to_owned();
    let phase = frame.phase.as_ref().map(|phase| format!(" · {phase}"));
    view! {
        <aside class="flex max-h-[45%] shrink-0 flex-col border-t border-line bg-raised" aria-label="Marked frame">
            <header class="flex items-center gap-2 py-1.5 pr-2 pl-4 text-xs text-soft max-sm:items-start">
                <strong class="font-semibold text-ink tabular-nums">{format!("#{}", frame.seq)}</strong>
                <span class="tag">{stream}</span>
                // A phone shows no other place with the time.
                <span class="min-w-0 break-words">
                    <time class="tabular-nums" datetime=at.to_string()>{move || clock.exact(at)}</time>
                    {phase}{format!(" · attempt {}", frame.attempt)}
                </span>
                <span class="ml-auto flex gap-1">
                    <CopyButton text=full label="Copy this text"/>
                    <button
                        type="button"
                        class="button button-icon button-small"
                        title="Close"
                        aria-label="Close"
                        on:click=move |_| scroll.mark(None)
                    >
                        {Icon::Close.draw()}
                    </button>
                </span>
            </header>
            {warning}
            <pre class="scrollbar-thin min-h-0 overflow-auto px-4 pb-3 font-mono text-xs break-words whitespace-pre-wrap">
                {text}
            </pre>
        </aside>
    }
}

/// Everything that a frame says, as text.
fn plain(payload: &FramePayload) -> String {
    match payload {
        FramePayload::Log(log) => ansi::plain(&log.line),
        FramePayload::Status(change) => format!("{} → {}: {}", change.from, change.to, change.reason),
        FramePayload::Phase(change) => {
            let signal = change.signal.as_ref().map(|signal| format!(" ({signal})")).unwrap_or_default();
            let exit = change.exit_code.map(|code| format!(", exit code {code}{signal}")).unwrap_or_default();
            let took = change.duration_ms.map(|took| format!(", took {}", format::duration(took))).unwrap_or_default();
            format!("{} {}{exit}{took}", change.name, change.state.as_str())
        }
        FramePayload::Finding(finding) => {
            let fixable = match (finding.fixable, finding.fix) {
                (false, _) => "",
                (true, Some(FixSafety::Review)) => {
                    "\nIt can be fixed automatically, but the fix needs a check or a review."
                }
                (true, _) => "\nIt can be fixed automatically.",
            };
            format!("{}\n{} {}\n{}{fixable}", place(finding), finding.severity, finding.rule, finding.message)
        }
        FramePayload::Patch(patch) => patch.diff.clone(),
        FramePayload::Tool(tool) => format!("{} ({})\n{}", tool.name, tool.call, tool.preview),
        FramePayload::ToolResult(result) => result.preview.clone(),
        FramePayload::Token(piece) | FramePayload::Reasoning(piece) => piece.text.clone(),
        FramePayload::Approval(approval) => approval.question.clone(),
        FramePayload::Error(failure) => format!("{}: {}", failure.code, failure.message),
        FramePayload::Progress(progress) => match progress.total {
            Some(total) => format!("{} of {total} {}", progress.done, progress.unit),
            None => format!("{} {}", progress.done, progress.unit),
        },
        FramePayload::Outcome(outcome) => outcome_text(outcome),
        FramePayload::Output(output) => format!("{} = {}", output.name, output.value),
        FramePayload::Origin(origin) => format!("Asked for by {}", origin.by),
        FramePayload::Notification(notification) => notification_text(notification),
        FramePayload::Cancel(request) => {
            let kill = request.kill_at.map(|at| format!("\nWhat still runs is killed at {at}.")).unwrap_or_default();
            let what = if request.force { "The end at once" } else { "The end" };
            format!("{what} was asked for by {}.{kill}", request.by)
        }
        FramePayload::Notice(notice) => format!("{}: {}", notice.code, notice.message),
        FramePayload::Other(unknown) => unknown.data.to_string(),
    }
}

fn outcome_text(outcome: &Outcome) -> String {
    let Outcome { message, files, findings, fixed, left, branch, commit, base } = outcome;
    let mut text = format!("{message}\n{files} files, {findings} findings, {fixed} fixed, {left} left");
    for (what, value) in [("branch", branch), ("commit", commit), ("base", base)] {
        if let Some(value) = value {
            text.push_str(&format!("\n{what} {value}"));
        }
    }
    text
}

fn notification_text(notification: &Notification) -> String {
    let Notification { url, event, state, r#try, status, error, next_ms } = notification;
    let state = match state {
        DeliveryState::Delivered => "delivered",
        DeliveryState::Retrying => "not delivered yet",
        DeliveryState::Failed => "not delivered",
    };
    let mut text = format!("{event} to {url}: {state}, try {}", r#try);
    if let Some(status) = status {
        text.push_str(&format!("\nanswered with status {status}"));
    }
    if let Some(error) = error {
        text.push_str(&format!("\n{error}"));
    }
    if let Some(wait) = next_ms {
        text.push_str(&format!("\nnext try in {}", format::duration(*wait)));
    }
    text
}

fn diff(diff: &str) -> Vec<impl IntoView + use<>> {
    let line = |line: &str| {
        let class = match line.as_bytes().first() {
            _ if line.starts_with("+++") || line.starts_with("---") => "text-faint",
            Some(b'+') => "text-ok",
            Some(b'-') => "text-bad",
            Some(b'@') => "text-info",
            _ => "text-soft",
        };
        view! { <span class=class>{visible(line)}{"\n"}</span> }
    };
    diff.lines().map(line).collect()
}
