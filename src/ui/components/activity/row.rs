//! A frame as a row of one line.

use std::sync::Arc;

use leptos::either::{Either, EitherOf3};
use leptos::prelude::*;

use crate::feed::RunState;
use crate::feed::ansi;
use crate::model::kinds::{
    Approval, ApprovalState, CancelRequest, DeliveryState, Failure, Finding, Notification, Patch, PhaseChange,
    Progress, StatusChange, ToolResult,
};
use crate::model::visible::plain;
use crate::model::{Frame, FramePayload, Log, LogStream, Phase, PhaseState, Status};
use crate::ui::clock::Clock;
use crate::ui::components::icon::Icon;
use crate::ui::components::invisible::mark_invisible;
use crate::ui::components::phases::PhaseAppearance;
use crate::ui::components::status;
use crate::ui::follow::LiveRun;
use crate::ui::format;

/// The detail panel shows the rest.
const MAX_ROW_CHARS: usize = 1500;

/// A row with its frame. The frame has another seq than the row if it redraws an earlier line.
#[component]
pub fn FrameRow(
    seq: u64,
    frame: Arc<Frame>,
    /// The seq of the marked row.
    marked: RwSignal<Option<u64>>,
    follow: LiveRun,
) -> impl IntoView {
    let clock = Clock::from_context();
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
    seq: u64,
    /// The seq of the marked row.
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

fn text(frame: &Frame, follow: LiveRun) -> AnyView {
    match &frame.payload {
        FramePayload::Log(log) => log_row(log).into_any(),
        FramePayload::Status(change) => status_row(change, frame.attempt, follow).into_any(),
        FramePayload::Phase(change) => phase_row(change, frame.attempt, follow).into_any(),
        FramePayload::Finding(finding) => finding_row(finding).into_any(),
        FramePayload::Patch(patch) => patch_row(patch).into_any(),
        FramePayload::Tool(tool) => {
            let preview = short(&tool.preview);
            view! { <span class="tag" data-tone="info">{mark_invisible(&tool.name)}</span>" "<span>{preview}</span> }
                .into_any()
        }
        FramePayload::ToolResult(result) => tool_result_row(result).into_any(),
        FramePayload::Token(piece) => short(&piece.text).into_any(),
        FramePayload::Reasoning(piece) => {
            view! { <span class="text-soft italic">{short(&piece.text)}</span> }.into_any()
        }
        FramePayload::Approval(approval) => approval_row(approval).into_any(),
        FramePayload::Error(failure) => error_row(failure).into_any(),
        FramePayload::Progress(progress) => progress_row(progress).into_any(),
        FramePayload::Outcome(outcome) => {
            let branch = outcome.branch.as_ref().map(|_| view! { <span class="tag" data-tone="ok">"branch"</span>" " });
            view! { {branch}{short(&outcome.message)} }.into_any()
        }
        FramePayload::Output(output) => {
            let value = short(&output.value);
            view! { <span class="tag">"output"</span>" "<span class="text-accent">{mark_invisible(&output.name)}</span>" = "{value} }
                .into_any()
        }
        FramePayload::Origin(origin) => view! {
            <span class="row-event">
                <span class="text-soft">{Icon::Waiting.draw()}</span>
                <b>"Started"</b>
                <span>"by "{short(&origin.by)}</span>
            </span>
        }
        .into_any(),
        FramePayload::Notification(notification) => notification_row(notification).into_any(),
        FramePayload::Cancel(request) => cancel_row(request).into_any(),
        FramePayload::Notice(notice) => view! {
            <span class="tag" data-tone="info">{notice.code.clone()}</span>
            " "
            {format::one_line(&notice.message, MAX_ROW_CHARS)}
        }
        .into_any(),
        FramePayload::Other(unknown) => {
            let data = short(&unknown.data.to_string());
            view! { <span class="tag">{mark_invisible(&unknown.kind)}</span>" "<span class="text-soft">{data}</span> }
                .into_any()
        }
    }
}

fn tool_result_row(result: &ToolResult) -> impl IntoView + use<> {
    let (word, tone) = if result.ok { ("ok", "ok") } else { ("failed", "bad") };
    let took = result.duration_ms.map(|took| format!(" {}", format::duration(took)));
    let preview = short(&result.preview);
    view! { <span class="tag" data-tone=tone>{word}</span><span class="text-faint">{took}</span>" "{preview} }
}

fn approval_row(approval: &Approval) -> impl IntoView + use<> {
    let (word, tone) = match approval.state {
        ApprovalState::Waiting => ("awaiting approval", "warn"),
        ApprovalState::Approved => ("approved", "ok"),
        ApprovalState::Rejected => ("rejected", "bad"),
    };
    let by = approval.by.as_ref().map(|by| mark_invisible(&format!(" by {by}")));
    view! { <span class="tag" data-tone=tone>{word}{by}</span>" "{short(&approval.question)} }
}

fn error_row(failure: &Failure) -> impl IntoView + use<> {
    // Only the engine reports these codes, as retryable while the phase has retries left.
    let is_retried = failure.retryable && failure.code.starts_with("phase_");
    let (tag, tone) = if is_retried { ("retrying", "warn") } else { (failure.code.as_str(), "bad") };
    view! {
        <span class="tag" data-tone=tone>{mark_invisible(tag)}</span>
        " "
        <span class=if is_retried { "text-warn" } else { "text-bad" }>{short(&failure.message)}</span>
    }
}

fn cancel_row(request: &CancelRequest) -> impl IntoView + use<> {
    let title = if request.force { "Kill now" } else { "Cancel" };
    view! {
        <span class="row-event">
            <span class="text-soft">{Icon::Stop.draw()}</span>
            <b>{title}</b>
            <span>{format!("requested by {}", format::one_line(&request.by, MAX_ROW_CHARS))}</span>
        </span>
    }
}

fn log_row(log: &Log) -> impl IntoView + use<> {
    let (pieces, hidden) = ansi::truncate(ansi::spans(&log.line), MAX_ROW_CHARS);
    let more = (hidden > 0).then(
        || view! { <span class="text-faint">{format!(" … {} more (click to expand)", format::counted(hidden, "character"))}</span> },
    );
    let stderr = (log.stream == LogStream::Stderr).then(|| view! { <span class="sr-only">"stderr: "</span> });
    let cont =
        log.cont.then(|| view! { <span class="text-faint" title="Continued from the previous line">"↳ "</span> });
    let text = match pieces.as_slice() {
        [] => EitherOf3::A(()),
        [only] if only.style == ansi::Style::default() && only.link.is_none() => {
            EitherOf3::B(mark_invisible(only.text))
        }
        pieces => EitherOf3::C(styled(pieces)),
    };
    view! { {stderr}{cont}{text}{more} }
}

/// Text with ANSI styles and links.
pub fn styled(pieces: &[ansi::Span<'_>]) -> Vec<impl IntoView + use<>> {
    pieces
        .iter()
        .map(|piece| {
            let class = piece.style.classes();
            let text = mark_invisible(piece.text);
            match piece.link {
                // The target must learn nothing of this page and must not reach it.
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

/// The beginning of a text, on one line.
fn short(text: &str) -> impl IntoView + use<> {
    mark_invisible(&format::one_line(text, MAX_ROW_CHARS))
}

fn status_row(change: &StatusChange, attempt: u32, follow: LiveRun) -> impl IntoView + use<> {
    let (icon, title) = match change.to {
        Status::Pending => (Icon::of_status(change.to), format!("Attempt {attempt}")),
        Status::Running => (Icon::Start, "Started".to_owned()),
        to => (Icon::of_status(to), status::label(to).to_owned()),
    };
    let reason = match change.to {
        Status::Completed => {
            // Kept once a later attempt is the current one.
            let exceptions = Memo::new(move |before: Option<&Option<String>>| {
                follow.state.with(|state| match state.run.attempt == attempt {
                    true => exceptions(&state.run.phases),
                    false => before.cloned().flatten(),
                })
            });
            view! { <span>{move || exceptions.get()}</span> }.into_any()
        }
        _ => view! { <span>{short(without_title(&change.reason, &title))}</span> }.into_any(),
    };
    view! {
        <span class="row-event">
            <span class=status::color(change.to)>{icon.draw()}</span>
            <b>{title}</b>
            {reason}
        </span>
    }
}

/// A reason without the title at its beginning: "by Anna" of "cancelled by Anna".
fn without_title<'a>(reason: &'a str, title: &str) -> &'a str {
    match reason.split_at_checked(title.len()) {
        Some((before, rest)) if before.eq_ignore_ascii_case(title) => rest.trim_start(),
        _ => reason,
    }
}

/// Counts the phases of a completed attempt that did not complete.
fn exceptions(phases: &[Phase]) -> Option<String> {
    let count = |wanted| phases.iter().filter(|phase| phase.state == wanted).count() as u64;
    let (failed, skipped) = (count(PhaseState::Failed), count(PhaseState::Skipped));
    let failed = (failed > 0).then(|| format::counted(failed, "ignored failure"));
    let skipped = (skipped > 0).then(|| format!("{} skipped", format::counted(skipped, "phase")));
    let parts: Vec<_> = failed.into_iter().chain(skipped).collect();
    (!parts.is_empty()).then(|| format!("with {}", parts.join(", ")))
}

fn phase_row(change: &PhaseChange, attempt: u32, follow: LiveRun) -> impl IntoView + use<> {
    let code = change.exit_code.filter(|&code| code != 0).map(|code| format!("exit code {code}"));
    let exit = change.signal.as_ref().map(|signal| format!("by {signal}")).or(code);
    let took = change.duration_ms.map(|took| format!("in {}", format::duration(took)));
    let state = change.state;
    // The frame that ends the attempt comes after this one.
    let cut_off_by = {
        let change = change.clone();
        let may_be = state == PhaseState::Failed && change.exit_code.is_none();
        Memo::new(move |_| if may_be { follow.state.with(|state| cut_off_by(state, &change, attempt)) } else { None })
    };
    let appearance = move || PhaseAppearance { state, cut_off_by: cut_off_by.get() };
    // Not the spinner: a log row is about the past.
    let icon = move || if state == PhaseState::Started { Icon::Start } else { appearance().icon() };
    view! {
        <span class="row-event">
            <span class=move || appearance().color()>{move || icon().draw()}</span>
            <b>{mark_invisible(&change.name)}</b>
            <span>{move || appearance().word()}</span>
            {took.map(|took| view! { <span>{took}</span> })}
            {exit.map(|exit| view! { <span class="text-bad">{exit}</span> })}
        </span>
    }
}

/// The status of the attempt's end, if that cut the phase off.
fn cut_off_by(state: &RunState, change: &PhaseChange, attempt: u32) -> Option<Status> {
    let ended = match state.run.attempt == attempt {
        true => Some(state.run.status),
        false => state.earlier.iter().find(|mark| mark.attempt == attempt).map(|mark| mark.status),
    };
    ended.filter(|_| state.was_cut_off(change, attempt))
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

fn finding_row(finding: &Finding) -> impl IntoView + use<> {
    let tone = severity_tone(&finding.severity);
    let severity = if finding.severity.is_empty() { "finding".to_owned() } else { finding.severity.clone() };
    view! {
        <span class="tag" data-tone=tone>{mark_invisible(&severity)}</span>
        " "
        <span class="text-accent">{mark_invisible(&place(finding))}</span>
        " "
        {short(&finding.message)}
        <span class="text-faint">{(!finding.rule.is_empty()).then(|| mark_invisible(&format!("  {}", finding.rule)))}</span>
    }
}

/// Where a finding is: `src/main.rs:3:7`.
pub fn place(finding: &Finding) -> String {
    let number = |number: Option<u64>| number.map(|number| format!(":{number}")).unwrap_or_default();
    let column = finding.line.and(finding.column);
    format!("{}{}{}", finding.path, number(finding.line), number(column))
}

fn patch_row(patch: &Patch) -> impl IntoView + use<> {
    view! {
        <span class="tag">"patch"</span>
        " "
        <span class="text-accent">{mark_invisible(&patch.path)}</span>
        " "
        <span class="text-ok">{format!("+{}", patch.added)}</span>
        " "
        <span class="text-bad">{format!("−{}", patch.removed)}</span>
    }
}

fn notification_row(notification: &Notification) -> impl IntoView + use<> {
    let (words, tone) = match notification.state {
        DeliveryState::Delivered => ("notification sent", "ok"),
        DeliveryState::Retrying => ("notification retrying", "warn"),
        DeliveryState::Failed => ("notification failed", "bad"),
    };
    let error = notification.error.as_ref().map(|error| short(error));
    let next = notification.next_ms.map(|wait| format!("retry {} in {}", notification.r#try, format::duration(wait)));
    view! {
        <span class="tag" data-tone=tone>{words}</span>
        " "
        <span class="text-accent">{short(&notification.url)}</span>
        {error.map(|error| view! { " "<span class="text-soft">{error}</span> })}
        {next.map(|next| view! { <span class="text-faint">"  "{next}</span> })}
    }
}

fn progress_row(progress: &Progress) -> impl IntoView + use<> {
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
