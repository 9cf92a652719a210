//! The size of a frame, and how a frame that is larger than a row can show is abridged.

use serde_json::Value;

use crate::model::{Frame, FramePayload};

/// A frame with more text than this is abridged. Larger than the longest log line, which is shown in full when
/// selected.
pub const MAX_FRAME_BYTES: usize = 128 * 1024;

/// An abridged frame keeps this much of each text: more than a row shows.
const ABRIDGED_TEXT_BYTES: usize = 8 * 1024;

/// The approximate size of a frame without its texts.
const FRAME_BYTES: usize = 160;

/// The approximate size of a frame.
pub fn bytes_of(frame: &Frame) -> usize {
    let mut bytes = FRAME_BYTES + frame.phase.as_ref().map_or(0, |phase| phase.len());
    let mut count = |text: &str| bytes += text.len();
    match &frame.payload {
        FramePayload::Status(change) => count(&change.reason),
        FramePayload::Phase(change) => count(&change.name),
        FramePayload::Log(log) => count(&log.line),
        FramePayload::Finding(finding) => {
            [&finding.path, &finding.rule, &finding.severity, &finding.message]
                .into_iter()
                .for_each(|text| count(text));
        }
        FramePayload::Patch(patch) => [&patch.path, &patch.diff].into_iter().for_each(|text| count(text)),
        FramePayload::Tool(tool) => [&tool.call, &tool.name, &tool.preview].into_iter().for_each(|text| count(text)),
        FramePayload::ToolResult(result) => [&result.call, &result.preview].into_iter().for_each(|text| count(text)),
        FramePayload::Token(piece) | FramePayload::Reasoning(piece) => count(&piece.text),
        FramePayload::Approval(approval) => {
            count(&approval.question);
            approval.by.iter().chain(&approval.exclude).for_each(|text| count(text));
        }
        FramePayload::Error(failure) => [&failure.code, &failure.message].into_iter().for_each(|text| count(text)),
        FramePayload::Progress(progress) => count(&progress.unit),
        FramePayload::Outcome(outcome) => {
            count(&outcome.message);
            [&outcome.branch, &outcome.commit, &outcome.base].into_iter().flatten().for_each(|text| count(text));
        }
        FramePayload::Output(output) => [&output.name, &output.value].into_iter().for_each(|text| count(text)),
        FramePayload::Origin(origin) => count(&origin.by),
        FramePayload::Notification(notification) => {
            [&notification.url, &notification.event].into_iter().for_each(|text| count(text));
            notification.error.iter().for_each(|error| count(error));
        }
        FramePayload::Cancel(request) => count(&request.by),
        FramePayload::Notice(notice) => {
            [&notice.code, &notice.message].into_iter().for_each(|text| count(text));
            notice.processes.iter().for_each(|process| count(&process.name));
        }
        FramePayload::Other(unknown) => bytes += value_bytes(&unknown.data),
    }
    bytes
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 16,
        Value::String(text) => 32 + text.len(),
        Value::Array(values) => 32 + values.iter().map(value_bytes).sum::<usize>(),
        Value::Object(fields) => 32 + fields.iter().map(|(name, value)| name.len() + value_bytes(value)).sum::<usize>(),
    }
}

/// The frame with its texts cut to what a row shows.
pub fn abridge(mut frame: Frame) -> Frame {
    match &mut frame.payload {
        FramePayload::Status(change) => cut(&mut change.reason),
        FramePayload::Phase(change) => cut(&mut change.name),
        FramePayload::Log(log) => cut(&mut log.line),
        FramePayload::Finding(finding) => {
            cut(&mut finding.path);
            cut(&mut finding.rule);
            cut(&mut finding.severity);
            cut(&mut finding.message);
        }
        FramePayload::Patch(patch) => {
            cut(&mut patch.path);
            cut(&mut patch.diff);
        }
        FramePayload::Tool(tool) => {
            cut(&mut tool.call);
            cut(&mut tool.name);
            cut(&mut tool.preview);
        }
        FramePayload::ToolResult(result) => {
            cut(&mut result.call);
            cut(&mut result.preview);
        }
        FramePayload::Token(piece) | FramePayload::Reasoning(piece) => cut(&mut piece.text),
        FramePayload::Approval(approval) => {
            cut(&mut approval.question);
            approval.by.iter_mut().for_each(cut);
            approval.exclude = Vec::new();
        }
        FramePayload::Error(failure) => {
            cut(&mut failure.code);
            cut(&mut failure.message);
        }
        FramePayload::Progress(progress) => cut(&mut progress.unit),
        FramePayload::Outcome(outcome) => {
            cut(&mut outcome.message);
            [&mut outcome.branch, &mut outcome.commit, &mut outcome.base].into_iter().flatten().for_each(cut);
        }
        FramePayload::Output(output) => {
            cut(&mut output.name);
            cut(&mut output.value);
        }
        FramePayload::Origin(origin) => cut(&mut origin.by),
        FramePayload::Cancel(request) => cut(&mut request.by),
        FramePayload::Notice(notice) => cut(&mut notice.message),
        FramePayload::Notification(notification) => {
            cut(&mut notification.url);
            cut(&mut notification.event);
            notification.error.iter_mut().for_each(cut);
        }
        FramePayload::Other(unknown) => {
            let mut text = unknown.data.to_string();
            cut(&mut text);
            unknown.data = Value::String(text);
        }
    }
    frame
}

fn cut(text: &mut String) {
    if text.len() > ABRIDGED_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(ABRIDGED_TEXT_BYTES));
        text.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn abridge_makes_frames_of_all_kinds_small() {
        let long = "é".repeat(1 << 20);
        let fields = [
            "reason", "name", "line", "path", "message", "diff", "call", "preview", "text", "question", "code", "unit",
            "by", "branch", "error",
        ];
        let kinds = [
            "status",
            "phase",
            "log",
            "finding",
            "patch",
            "tool",
            "tool_result",
            "token",
            "reasoning",
            "approval",
            "error",
            "progress",
            "outcome",
            "output",
            "origin",
            "notification",
            "unheard of",
        ];
        for kind in kinds {
            let mut data = serde_json::json!({
                "from": "pending", "to": "running", "state": "started", "stream": "stdout", "ok": true, "retryable": false,
                "done": 1, "value": long, "url": long, "event": "run.finished", "try": 1, "files": 0, "findings": 0,
                "fixed": 0, "left": 0,
            });
            fields.iter().for_each(|field| data[*field] = long.clone().into());
            match kind {
                "approval" => data["state"] = "waiting".into(),
                "notification" => data["state"] = "delivered".into(),
                _ => {}
            }
            let json = serde_json::json!({
                "seq": 1, "ts": Timestamp(0), "attempt": 1, "phase": null, "kind": kind, "data": data,
            });
            let frame: Frame = serde_json::from_value(json).unwrap();
            assert_eq!(frame.payload.kind(), kind);
            assert!(bytes_of(&frame) > MAX_FRAME_BYTES, "{kind} is counted");
            let frame = abridge(frame);
            assert!(bytes_of(&frame) < MAX_FRAME_BYTES, "{kind} is {} bytes", bytes_of(&frame));
            assert_eq!(frame.payload.kind(), kind);
        }
    }
}
