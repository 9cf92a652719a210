//! What a frame says: one variant per kind (docs/CONTRACT.md, "Frames").

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kinds::{
    Approval, CancelRequest, Failure, Finding, Log, Notice, Notification, Origin, Outcome, Output, Patch, PhaseChange,
    Progress, StatusChange, Text, Tool, ToolResult, Unknown,
};

/// What a frame says: its `kind` and its `data`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum FramePayload {
    Status(StatusChange),
    Phase(PhaseChange),
    Log(Log),
    Finding(Finding),
    Patch(Patch),
    Tool(Tool),
    ToolResult(ToolResult),
    Token(Text),
    Reasoning(Text),
    Approval(Approval),
    Error(Failure),
    Progress(Progress),
    Outcome(Outcome),
    Output(Output),
    Origin(Origin),
    Notification(Notification),
    Cancel(CancelRequest),
    Notice(Notice),
    /// An unknown kind, or a known kind with unknown data. Kept, so that an older page shows a newer journal without
    /// gaps.
    #[serde(untagged)]
    Other(Unknown),
}

impl FramePayload {
    pub fn kind(&self) -> &str {
        match self {
            Self::Status(_) => "status",
            Self::Phase(_) => "phase",
            Self::Log(_) => "log",
            Self::Finding(_) => "finding",
            Self::Patch(_) => "patch",
            Self::Tool(_) => "tool",
            Self::ToolResult(_) => "tool_result",
            Self::Token(_) => "token",
            Self::Reasoning(_) => "reasoning",
            Self::Approval(_) => "approval",
            Self::Error(_) => "error",
            Self::Progress(_) => "progress",
            Self::Outcome(_) => "outcome",
            Self::Output(_) => "output",
            Self::Origin(_) => "origin",
            Self::Notification(_) => "notification",
            Self::Cancel(_) => "cancel",
            Self::Notice(_) => "notice",
            Self::Other(unknown) => &unknown.kind,
        }
    }

    /// The frame's `data` as JSON text.
    pub fn data(&self) -> String {
        let written = match self {
            Self::Status(data) => serde_json::to_string(data),
            Self::Phase(data) => serde_json::to_string(data),
            Self::Log(data) => serde_json::to_string(data),
            Self::Finding(data) => serde_json::to_string(data),
            Self::Patch(data) => serde_json::to_string(data),
            Self::Tool(data) => serde_json::to_string(data),
            Self::ToolResult(data) => serde_json::to_string(data),
            Self::Token(data) | Self::Reasoning(data) => serde_json::to_string(data),
            Self::Approval(data) => serde_json::to_string(data),
            Self::Error(data) => serde_json::to_string(data),
            Self::Progress(data) => serde_json::to_string(data),
            Self::Outcome(data) => serde_json::to_string(data),
            Self::Output(data) => serde_json::to_string(data),
            Self::Origin(data) => serde_json::to_string(data),
            Self::Notification(data) => serde_json::to_string(data),
            Self::Cancel(data) => serde_json::to_string(data),
            Self::Notice(data) => serde_json::to_string(data),
            Self::Other(unknown) => serde_json::to_string(&unknown.data),
        };
        // serde_json fails only for map keys that are not text, and for failing writers; there are neither.
        written.unwrap_or_else(|_| "{}".to_owned())
    }

    /// Decodes data of a known kind; `None` if the kind is unknown or the data does not have its shape.
    fn from_known_kind(kind: &str, data: &Value) -> Option<Self> {
        fn read<'a, T: Deserialize<'a>>(data: &'a Value) -> Option<T> {
            T::deserialize(data).ok()
        }
        match kind {
            "status" => read(data).map(Self::Status),
            "phase" => read(data).map(Self::Phase),
            "log" => read(data).map(Self::Log),
            "finding" => read(data).map(Self::Finding),
            "patch" => read(data).map(Self::Patch),
            "tool" => read(data).map(Self::Tool),
            "tool_result" => read(data).map(Self::ToolResult),
            "token" => read(data).map(Self::Token),
            "reasoning" => read(data).map(Self::Reasoning),
            "approval" => read(data).map(Self::Approval),
            "error" => read(data).map(Self::Error),
            "progress" => read(data).map(Self::Progress),
            "outcome" => read(data).map(Self::Outcome),
            "output" => read(data).filter(Output::is_valid).map(Self::Output),
            "origin" => read(data).map(Self::Origin),
            "notification" => read(data).map(Self::Notification),
            "cancel" => read(data).map(Self::Cancel),
            "notice" => read(data).map(Self::Notice),
            _ => None,
        }
    }

    /// Decodes a payload; [`FramePayload::Other`] if this version does not know it.
    pub fn from_kind(kind: &str, data: Value) -> Self {
        Self::from_known_kind(kind, &data).unwrap_or_else(|| Self::Other(Unknown { kind: kind.to_owned(), data }))
    }

    /// Whether only the engine may write this payload. A command that could report it could forge the state of its run.
    const fn is_engine_only(&self) -> bool {
        match self {
            Self::Status(_)
            | Self::Phase(_)
            | Self::Approval(_)
            | Self::Origin(_)
            | Self::Notification(_)
            | Self::Cancel(_)
            | Self::Notice(_) => true,
            Self::Log(_)
            | Self::Finding(_)
            | Self::Patch(_)
            | Self::Tool(_)
            | Self::ToolResult(_)
            | Self::Token(_)
            | Self::Reasoning(_)
            | Self::Error(_)
            | Self::Progress(_)
            | Self::Outcome(_)
            | Self::Output(_)
            | Self::Other(_) => false,
        }
    }

    /// Parses a report that a command printed (docs/CONTRACT.md, "Pipeline files"): `::frame {…}`, with the data
    /// beside `kind` or in an object `data`, or `::output name=value`.
    ///
    /// `None` leaves the line a log line: it is malformed, or of a kind that only the engine may write.
    pub fn parse_report(line: &str) -> Option<Self> {
        if let Some((name, value)) = line.strip_prefix("::output ").and_then(|rest| rest.split_once('=')) {
            let output = Output { name: name.trim().to_owned(), value: value.to_owned() };
            return output.is_valid().then_some(Self::Output(output));
        }
        let text = line.strip_prefix("::frame ")?;
        let Value::Object(mut fields) = serde_json::from_str(text).ok()? else { return None };
        let Value::String(kind) = fields.remove("kind")? else { return None };
        let data = match fields.remove("data") {
            Some(data @ Value::Object(_)) if fields.is_empty() => data,
            Some(_) => return None,
            None => Value::Object(fields),
        };
        Self::from_known_kind(&kind, &data).filter(|payload| !payload.is_engine_only())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn report_takes_data_beside_kind_or_nested() {
        let progress = FramePayload::Progress(Progress { done: 3, total: Some(10), unit: "files".into() });
        let beside = r#"::frame {"kind":"progress","done":3,"total":10,"unit":"files"}"#;
        let inside = r#"::frame {"kind":"progress","data":{"done":3,"total":10,"unit":"files"}}"#;
        assert_eq!(FramePayload::parse_report(beside).as_ref(), Some(&progress));
        assert_eq!(FramePayload::parse_report(inside).as_ref(), Some(&progress));
    }

    #[test]
    fn report_of_an_output_needs_a_valid_name() {
        let output =
            |name: &str, value: &str| Some(FramePayload::Output(Output { name: name.into(), value: value.into() }));
        assert_eq!(FramePayload::parse_report("::output version=1.2 =x"), output("version", "1.2 =x"));
        assert_eq!(FramePayload::parse_report("::output a-B_1="), output("a-B_1", ""));
        assert_eq!(Output::variable("a-B_1"), "RUNTRAIL_OUTPUT_A_B_1");
        for line in ["::output", "::output x", "::output =x", "::output a b=c", "::output ä=c", " ::output a=c"] {
            assert_eq!(FramePayload::parse_report(line), None, "{line}");
        }
    }

    #[test]
    fn report_refuses_malformed_and_engine_kinds() {
        for line in [
            "hello",
            "::frame",
            "::frame {",
            "::frame []",
            "::frame {}",
            r#"::frame {"kind":7}"#,
            r#"::frame {"kind":"hologram"}"#,
            r#"::frame {"kind":"progress"}"#,
            r#" ::frame {"kind":"token","text":"x"}"#,
            r#"::frame {"kind":"status","from":"running","to":"completed","reason":"forged"}"#,
            r#"::frame {"kind":"phase","name":"x","state":"completed"}"#,
            r#"::frame {"kind":"approval","question":"?","state":"approved"}"#,
            r#"::frame {"kind":"origin","by":"a schedule"}"#,
            r#"::frame {"kind":"cancel","by":"x","kill_at":"2026-11-21T10:00:00.000Z","force":false}"#,
            r#"::frame {"kind":"notice","code":"x","message":"y"}"#,
            r#"::frame {"kind":"notification","url":"http://a/","event":"run.finished","state":"delivered","try":1}"#,
        ] {
            assert_eq!(FramePayload::parse_report(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn report_never_panics_nor_forges(line in "::frame .*") {
            if let Some(payload) = FramePayload::parse_report(&line) {
                let kind = payload.kind();
                let is_the_engines =
                    ["status", "phase", "approval", "origin", "notification", "cancel", "notice"].contains(&kind);
                prop_assert!(!is_the_engines && !matches!(payload, FramePayload::Other(_)));
            }
        }
    }
}
