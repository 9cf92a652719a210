//! A frame as a row: one line, whatever its kind.

use std::sync::Arc;

use leptos::either::{Either, EitherOf3};
use leptos::prelude::*;

use crate::feed::ansi;
use crate::feed::visible::plain;
use crate::model::kinds::{
    ApprovalState, DeliveryState, Finding, Notification, Patch, PhaseChange, Progress, StatusChange,
};
use crate::model::{Frame, FramePayload, Log, LogStream, PhaseState, Status};
use crate::ui::clock::Clock;
use crate::ui::components::icon::Icon;
use crate::ui::components::phases::Looks;
use crate::ui::components::status;
use crate::ui::components::visible::visible;
use crate::ui::follow::Follow;
use crate::ui::format;

/// So many characters of a line are drawn; the row's detail has all of it.
const MOST: usize = 1500;

/// A row.
#[component]
pub fn FrameRow(
    /// The row's seq.
    seq: u64,
    /// The frame that shows in it.
    frame: Arc<Frame>,
    /// The frame that is marked.
    marked: RwSignal<Option<u64>>,
    /// The run's page.
    follow: Follow,
) -> impl IntoView {
    let clock = Clock::of_page();
    let stream = match &frame.payload {
        FramePayload::Log(Log { stream: LogStream::Stderr, .. }) => Some("stderr"),
        _ => None,
    };
    let offset = untrack(|| clock.offset(frame.ts));
    view! {
        <div
            class="row"
            id=format!("f{seq}")
            data-testid="frame"
            data-frame-id=seq
            data-shown-id=(frame.seq != seq).then_some(frame.seq)
            data-kind=frame.payload.kind().to_owned()
            data-stream=stream
            data-marked=move || (marked.get() == Some(seq)).then_some("")
        >
            <span class="row-gutter">
                <a class="row-number" href=format!("#f{seq}") tabindex="-1">{seq}</a>
                <span class="row-time">{format::clock(frame.ts, offset)}</span>
            </span>
            <span class="row-text">{text(&frame, follow)}</span>
        </div>
    }
}

/// A row whose frame is not loaded.
#[component]
pub fn AbsentRow(
    /// Its seq.
    seq: u64,
    /// The frame that is marked.
    marked: RwSignal<Option<u64>>,
) -> impl IntoView {
    view! {
        <div
            class="row"
            data-testid="absent-row"
            data-seq=seq
            data-marked=move || (marked.get() == Some(seq)).then_some("")
            aria-hidden="true"
        >
            <span class="row-gutter">
                <span class="row-number">{seq}</span>
            </span>
            <span class="row-absent"></span>
        </div>
    }
}

fn text(frame: &Frame, follow: Follow) -> AnyView {
    match &frame.payload {
        FramePayload::Log(log) => line(log).into_any(),
        FramePayload::Status(change) => status_change(change, frame.attempt).into_any(),
        FramePayload::Phase(change) => phase_change(change, frame.attempt, follow).into_any(),
        FramePayload::Finding(finding) => found(finding).into_any(),
        FramePayload::Patch(patch) => patched(patch).into_any(),
        FramePayload::Tool(tool) => {
            let preview = short(&tool.preview);
            view! { <span class="tag" data-tone="info">{visible(&tool.name)}</span>" "<span>{preview}</span> }
                .into_any()
        }
        FramePayload::ToolResult(result) => {
            let (word, tone) = if result.ok { ("ok", "ok") } else { ("failed", "bad") };
            let took = result.duration_ms.map(|took| format!(" {}", format::duration(took)));
            let preview = short(&result.preview);
            view! { <span class="tag" data-tone=tone>{word}</span><span class="text-faint">{took}</span>" "{preview} }
                .into_any()
        }
        FramePayload::Token(piece) => short(&piece.text).into_any(),
        FramePayload::Reasoning(piece) => {
            view! { <span class="text-soft italic">{short(&piece.text)}</span> }.into_any()
        }
        FramePayload::Approval(approval) => {
            let (word, tone) = match approval.state {
                ApprovalState::Waiting => ("waiting for a person", "warn"),
                ApprovalState::Approved => ("approved", "ok"),
                ApprovalState::Rejected => ("rejected", "bad"),
            };
            let by = approval.by.as_ref().map(|by| visible(&format!(" by {by}")));
            view! { <span class="tag" data-tone=tone>{word}{by}</span>" "{short(&approval.question)} }.into_any()
        }
        FramePayload::Error(failure) => view! {
            <span class="tag" data-tone="bad">{visible(&failure.code)}</span>
            " "
            <span class="text-bad">{short(&failure.message)}</span>
        }
        .into_any(),
        FramePayload::Progress(progress) => progressed(progress).into_any(),
        FramePayload::Outcome(outcome) => {
            let branch = outcome.branch.as_ref().map(|_| view! { <span class="tag" data-tone="ok">"branch"</span>" " });
            view! { {branch}{short(&outcome.message)} }.into_any()
        }
        FramePayload::Output(output) => {
            let value = short(&output.value);
            view! { <span class="tag">"output"</span>" "<span class="text-accent">{visible(&output.name)}</span>" = "{value} }
                .into_any()
        }
        FramePayload::Origin(origin) => view! {
            <span class="row-event">
                <span class="text-soft">{Icon::Waiting.draw()}</span>
                <b>"Asked for"</b>
                <span>"by "{short(&origin.by)}</span>
            </span>
        }
        .into_any(),
        FramePayload::Notification(notification) => notified(notification).into_any(),
        FramePayload::Cancel(request) => {
            let what = if request.force { "Kill now" } else { "Cancel" };
            view! {
                <span class="row-event">
                    <span class="text-soft">{Icon::Stop.draw()}</span>
                    <b>{what}</b>
                    <span>{format!("asked for by {}", format::one_line(&request.by, MOST))}</span>
                </span>
            }
            .into_any()
        }
        FramePayload::Notice(notice) => view! {
            <span class="tag" data-tone="info">{notice.code.clone()}</span>
            " "
            {format::one_line(&notice.message, MOST)}
        }
        .into_any(),
        FramePayload::Other(unknown) => {
            let data = short(&unknown.data.to_string());
            view! { <span class="tag">{visible(&unknown.kind)}</span>" "<span class="text-soft">{data}</span> }
                .into_any()
        }
    }
}

fn line(log: &Log) -> impl IntoView + use<> {
    let (pieces, hidden) = ansi::cut(ansi::spans(&log.line), MOST);
    let more = (hidden > 0).then(
        || view! { <span class="text-faint">{format!(" … {} more", format::counted(hidden, "character"))}</span> },
    );
    let said = (log.stream == LogStream::Stderr).then(|| view! { <span class="sr-only">"stderr: "</span> });
    let cont = log.cont.then(|| view! { <span class="text-faint" title="Continues the line before">"↳ "</span> });
    let text = match pieces.as_slice() {
        [] => EitherOf3::A(()),
        [only] if only.style == ansi::Style::default() && only.link.is_none() => EitherOf3::B(visible(only.text)),
        pieces => EitherOf3::C(styled(pieces)),
    };
    view! { {said}{cont}{text}{more} }
}

/// Pieces of text with styles and links.
pub fn styled(pieces: &[ansi::Span<'_>]) -> Vec<impl IntoView + use<>> {
    pieces
        .iter()
        .map(|piece| {
            let class = piece.style.classes();
            let text = visible(piece.text);
            match piece.link {
                // Another page, which does not learn where the link stands, and cannot reach this one.
                Some(address) => Either::Left(view! {
                    <a
                        class=format!("log-link {class}")
                        href=address.to_owned()
                        title=plain(address)
                        target="_blank"
                        rel="external noopener noreferrer"
                        referrerpolicy="no-referrer"
                        data-testid="log-link"
                    >
                        {text}
                    </a>
                }),
                None => Either::Right(view! { <span class=(!class.is_empty()).then_some(class)>{text}</span> }),
            }
        })
        .collect()
}

/// The beginning of a text on one line.
fn short(text: &str) -> impl IntoView + use<> {
    visible(&format::one_line(text, MOST))
}

fn status_change(change: &StatusChange, attempt: u32) -> impl IntoView + use<> {
    let words = match change.to {
        Status::Pending => format!("Attempt {attempt}"),
        to => status::word(to).to_owned(),
    };
    let icon = if change.to == Status::Running { Icon::Start } else { Icon::of_status(change.to) };
    view! {
        <span class="row-event">
            <span class=status::colour(change.to)>{icon.draw()}</span>
            <b>{words}</b>
            <span>{short(&change.reason)}</span>
        </span>
    }
}

fn phase_change(change: &PhaseChange, attempt: u32, follow: Follow) -> impl IntoView + use<> {
    let code = change.exit_code.filter(|&code| code != 0).map(|code| format!("exit {code}"));
    let exit = change.signal.as_ref().map(|signal| format!("by {signal}")).or(code);
    let took = change.duration_ms.map(|took| format!("in {}", format::duration(took)));
    let state = change.state;
    // Whether it came with the attempt's end is known when that is told.
    let cut_off = {
        let change = change.clone();
        let may_be = state == PhaseState::Failed && change.exit_code.is_none();
        Memo::new(move |_| may_be && follow.state.with(|state| state.is_cut_off(&change, attempt)))
    };
    let looks = move || Looks { state, cut_off: cut_off.get() };
    // What has begun is past here: nothing turns in a journal.
    let icon = move || if state == PhaseState::Started { Icon::Start } else { looks().icon() };
    view! {
        <span class="row-event">
            <span class=move || looks().colour()>{move || icon().draw()}</span>
            <b>{visible(&change.name)}</b>
            <span>{move || looks().word()}</span>
            {took.map(|took| view! { <span>{took}</span> })}
            {exit.map(|exit| view! { <span class="text-bad">{exit}</span> })}
        </span>
    }
}

/// The tone of a tag with a finding's severity.
pub fn severity_tone(severity: &str) -> &'static str {
    match severity {
        "error" => "bad",
        "warning" => "warn",
        "" => "",
        _ => "info",
    }
}

fn found(finding: &Finding) -> impl IntoView + use<> {
    let tone = severity_tone(&finding.severity);
    let severity = if finding.severity.is_empty() { "finding".to_owned() } else { finding.severity.clone() };
    view! {
        <span class="tag" data-tone=tone>{visible(&severity)}</span>
        " "
        <span class="text-accent">{visible(&place(finding))}</span>
        " "
        {short(&finding.message)}
        <span class="text-faint">{(!finding.rule.is_empty()).then(|| visible(&format!("  {}", finding.rule)))}</span>
    }
}

/// Where a finding is: `src/main.rs:3:7`.
pub fn place(finding: &Finding) -> String {
    let number = |number: Option<u64>| number.map(|number| format!(":{number}")).unwrap_or_default();
    let column = finding.line.and(finding.column);
    format!("{}{}{}", finding.path, number(finding.line), number(column))
}

fn patched(patch: &Patch) -> impl IntoView + use<> {
    view! {
        <span class="tag">"patch"</span>
        " "
        <span class="text-accent">{visible(&patch.path)}</span>
        " "
        <span class="text-ok">{format!("+{}", patch.added)}</span>
        " "
        <span class="text-bad">{format!("−{}", patch.removed)}</span>
    }
}

fn notified(notification: &Notification) -> impl IntoView + use<> {
    let (words, tone) = match notification.state {
        DeliveryState::Delivered => ("notified", "ok"),
        DeliveryState::Retrying => ("not notified yet", "warn"),
        DeliveryState::Failed => ("not notified", "bad"),
    };
    let error = notification.error.as_ref().map(|error| short(error));
    let next = notification.next_ms.map(|wait| format!("try {} in {}", notification.r#try + 1, format::duration(wait)));
    view! {
        <span class="tag" data-tone=tone>{words}</span>
        " "
        <span class="text-accent">{short(&notification.url)}</span>
        {error.map(|error| view! { " "<span class="text-soft">{error}</span> })}
        {next.map(|next| view! { <span class="text-faint">"  "{next}</span> })}
    }
}

fn progressed(progress: &Progress) -> impl IntoView + use<> {
    let unit = plain(&progress.unit);
    let words = match progress.total {
        Some(total) => format!("{} of {} {unit}", format::count(progress.done), format::count(total)),
        None => format!("{} {unit}", format::count(progress.done)),
    };
    let bar = progress.total.map(|total| {
        view! { <progress class="meter w-24" max=total.max(1) value=progress.done.min(total)></progress> }
    });
    view! { <span class="row-event">{bar}<span class="tabular-nums">{words}</span></span> }
}
