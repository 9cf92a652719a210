//! Frames: the entries of a run's journal (docs/CONTRACT.md, "Frames").
//!
//! [`Frame`] is a parsed frame. [`FrameRecord`] is a frame as it is stored and sent: its data stays JSON text, so that
//! replaying a journal parses nothing.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::Timestamp;
use super::kinds::{
    Approval, CancelRequest, Failure, Finding, Log, Notice, Notification, Origin, Outcome, Output, Patch, PhaseChange,
    Progress, StatusChange, Text, Tool, ToolResult, Unknown,
};

/// An entry of a run's journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Frame {
    /// 1, 2, 3 … per run, without gaps, across all attempts.
    pub seq: u64,
    pub ts: Timestamp,
    /// Counts from 1.
    pub attempt: u32,
    /// `None` for frames that concern the whole run.
    pub phase: Option<Arc<str>>,
    #[serde(flatten)]
    pub payload: FramePayload,
}

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

    /// Parses a report that a command printed (docs/CONTRACT.md, "Pipeline files"): `::frame {…}`, with the data
    /// beside `kind` or in an object `data`, or `::output name=value`.
    ///
    /// `None` leaves the line a log line: it is malformed, or of a kind that only the engine may write. Otherwise a
    /// command could forge the state of its run.
    pub fn parse_report(line: &str) -> Option<Self> {
        if let Some((name, value)) = line.strip_prefix("::output ").and_then(|given| given.split_once('=')) {
            let output = Output { name: name.trim().to_owned(), value: value.to_owned() };
            return output.is_valid().then_some(Self::Output(output));
        }
        let text = line.strip_prefix("::frame ")?;
        let Value::Object(mut fields) = serde_json::from_str(text).ok()? else { return None };
        let Value::String(kind) = fields.remove("kind")? else { return None };
        if matches!(kind.as_str(), "status" | "phase" | "approval" | "origin" | "notification" | "cancel" | "notice") {
            return None;
        }
        let data = match fields.remove("data") {
            Some(data @ Value::Object(_)) if fields.is_empty() => data,
            Some(_) => return None,
            None => Value::Object(fields),
        };
        Self::from_known_kind(&kind, &data)
    }
}

impl<'de> Deserialize<'de> for Frame {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Members {
            seq: u64,
            ts: Timestamp,
            attempt: u32,
            phase: Option<Arc<str>>,
            kind: String,
            data: Value,
        }
        let Members { seq, ts, attempt, phase, kind, data } = Members::deserialize(deserializer)?;
        if seq == 0 {
            return Err(D::Error::custom("a frame's seq begins at 1"));
        }
        Ok(Self { seq, ts, attempt, phase, payload: FramePayload::from_kind(&kind, data) })
    }
}

/// A frame as it is stored and sent: its data is JSON text that is not parsed on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRecord {
    pub seq: u64,
    pub ts: Timestamp,
    pub attempt: u32,
    pub phase: Option<Arc<str>>,
    pub kind: Arc<str>,
    pub data: Arc<str>,
}

impl FrameRecord {
    /// Appends the frame's JSON, which has no line break in it.
    pub fn write_json(&self, out: &mut String) {
        // Writing to a String never fails.
        let _ = write!(out, r#"{{"seq":{},"ts":"{}","attempt":{},"phase":"#, self.seq, self.ts, self.attempt);
        match &self.phase {
            Some(phase) => out.push_str(&json_string(phase)),
            None => out.push_str("null"),
        }
        out.push_str(r#","kind":"#);
        out.push_str(&json_string(&self.kind));
        out.push_str(r#","data":"#);
        out.push_str(&self.data);
        out.push('}');
    }

    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(96 + self.data.len());
        self.write_json(&mut out);
        out
    }

    /// The seq of the frame that this `log` frame redraws. Reads it from the end of the data, without parsing the
    /// JSON.
    pub fn replaces(&self) -> Option<u64> {
        if &*self.kind != "log" {
            return None;
        }
        let data = self.data.strip_suffix('}')?;
        let number = data.len() - data.bytes().rev().take_while(u8::is_ascii_digit).count();
        // A printed line with this text ends with a quotation mark.
        data[..number].ends_with(",\"replaces\":").then(|| data[number..].parse().ok()).flatten()
    }

    /// Parses the data. Invalid JSON, which no writer stores, becomes [`FramePayload::Other`] with `null`.
    pub fn to_frame(&self) -> Frame {
        let data = serde_json::from_str(&self.data).unwrap_or(Value::Null);
        Frame {
            seq: self.seq,
            ts: self.ts,
            attempt: self.attempt,
            phase: self.phase.clone(),
            payload: FramePayload::from_kind(&self.kind, data),
        }
    }
}

/// `text` as a JSON string.
fn json_string(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Status;
    use crate::model::kinds::{FixSafety, LogStream, PhaseState};

    fn any_payload() -> impl Strategy<Value = FramePayload> {
        let text = || any::<String>();
        prop_oneof![
            (text(), any::<bool>()).prop_map(|(line, cont)| FramePayload::Log(Log {
                stream: LogStream::Stderr,
                line,
                cont,
                replaces: None
            })),
            (text(), any::<Option<i32>>(), any::<Option<u64>>()).prop_map(|(name, exit_code, duration_ms)| {
                FramePayload::Phase(PhaseChange {
                    name,
                    state: PhaseState::Failed,
                    exit_code,
                    signal: None,
                    duration_ms,
                    carried: false,
                })
            }),
            (text(), text(), any::<Option<u64>>(), any::<bool>()).prop_map(|(path, message, line, fixable)| {
                FramePayload::Finding(Finding {
                    path,
                    line,
                    column: None,
                    rule: "r".into(),
                    severity: "error".into(),
                    message,
                    fixable,
                    fix: fixable.then_some(FixSafety::Review),
                })
            }),
            text().prop_map(|text| FramePayload::Token(Text { text })),
            text().prop_map(|reason| {
                FramePayload::Status(StatusChange { from: Status::Pending, to: Status::Running, reason })
            }),
            text().prop_map(|text| FramePayload::Other(Unknown { kind: "hologram".into(), data: Value::String(text) })),
            (any::<u64>(), any::<Option<u64>>(), text())
                .prop_map(|(done, total, unit)| FramePayload::Progress(Progress { done, total, unit })),
        ]
    }

    proptest! {
        #[test]
        fn frame_roundtrips_through_its_record(
            payload in any_payload(),
            seq in 1u64..=u64::MAX,
            phase in any::<Option<String>>(),
            ms in 0i64..4_102_444_800_000,
        ) {
            let frame = Frame { seq, ts: Timestamp(ms), attempt: 3, phase: phase.map(Into::into), payload };
            let record = FrameRecord {
                seq,
                ts: frame.ts,
                attempt: 3,
                phase: frame.phase.clone(),
                kind: frame.payload.kind().into(),
                data: frame.payload.data().into(),
            };
            let json = record.to_json();
            prop_assert!(!json.contains(['\n', '\r']));
            prop_assert_eq!(&serde_json::from_str::<Frame>(&json).unwrap(), &frame);
            prop_assert_eq!(&record.to_frame(), &frame);
            // The typed frame serializes to the same JSON.
            prop_assert_eq!(serde_json::to_value(&frame).unwrap(), serde_json::from_str::<Value>(&json).unwrap());
        }

        #[test]
        fn report_never_panics_nor_forges(line in "::frame .*") {
            if let Some(payload) = FramePayload::parse_report(&line) {
                let is_the_engines =
                    matches!(payload, FramePayload::Status(_) | FramePayload::Phase(_) | FramePayload::Approval(_) | FramePayload::Notification(_));
                prop_assert!(!is_the_engines && !matches!(payload, FramePayload::Other(_)));
            }
        }
    }

    #[test]
    fn frame_parses_the_example_of_the_contract() {
        let frame: Frame = serde_json::from_str(
            r#"{"seq": 17, "ts": "2026-11-21T10:00:00.123Z", "attempt": 1, "phase": "scanning", "kind": "log",
                "data": {"stream": "stdout", "line": "hello"}}"#,
        )
        .unwrap();
        assert_eq!(
            frame.payload,
            FramePayload::Log(Log { stream: LogStream::Stdout, line: "hello".into(), cont: false, replaces: None })
        );
    }

    #[test]
    fn record_reads_replaces_from_its_data() {
        let record = |line: &str, cont, replaces| {
            let payload = FramePayload::Log(Log { stream: LogStream::Stdout, line: line.into(), cont, replaces });
            let (kind, data) = (payload.kind().into(), payload.data().into());
            FrameRecord { seq: 9, ts: Timestamp(0), attempt: 1, phase: None, kind, data }
        };
        for line in ["", "12", ",\"replaces\":7", "\\\",\"replaces\":7"] {
            for cont in [false, true] {
                assert_eq!(record(line, cont, None).replaces(), None, "{line}");
                assert_eq!(record(line, cont, Some(12)).replaces(), Some(12), "{line}");
            }
        }
        let mut other = record("", false, Some(3));
        other.kind = "token".into();
        assert_eq!(other.replaces(), None);
    }

    #[test]
    fn frame_without_seq_is_refused() {
        let json = r#"{"seq":0,"ts":"2026-11-21T10:00:00.123Z","attempt":1,"phase":null,"kind":"log","data":{}}"#;
        assert!(serde_json::from_str::<Frame>(json).is_err());
    }

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
            r#"::frame {"kind":"notification","url":"http://a/","event":"run.finished","state":"delivered","try":1}"#,
        ] {
            assert_eq!(FramePayload::parse_report(line), None, "{line}");
        }
    }
}
