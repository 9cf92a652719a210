//! The frame: one journaled piece of activity of a run (CONTRACT.md, "A frame in JSON").
//!
//! [`Frame`] is what a reader works with; [`FrameRecord`] is the same frame as it is stored and sent, its data still text,
//! so that replaying a journal parses nothing.

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

/// One journaled piece of activity of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Frame {
    /// 1, 2, 3 … per run, without gaps, over all attempts.
    pub seq: u64,
    /// When it was journaled.
    pub ts: Timestamp,
    /// The attempt it belongs to, from 1.
    pub attempt: u32,
    /// The phase it belongs to, if any.
    pub phase: Option<Arc<str>>,
    /// What happened.
    #[serde(flatten)]
    pub payload: FramePayload,
}

/// What happened: the frame's `kind` and its `data`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum FramePayload {
    /// The run's status changed.
    Status(StatusChange),
    /// A phase began or ended.
    Phase(PhaseChange),
    /// A line a command printed.
    Log(Log),
    /// Something a scan found.
    Finding(Finding),
    /// A proposed or applied change of one file.
    Patch(Patch),
    /// An agent called a tool.
    Tool(Tool),
    /// What the tool answered.
    ToolResult(ToolResult),
    /// A piece of an agent's answer.
    Token(Text),
    /// A piece of an agent's reasoning.
    Reasoning(Text),
    /// A person is asked, or has answered.
    Approval(Approval),
    /// Something went wrong in carrying out the run.
    Error(Failure),
    /// How far the phase is.
    Progress(Progress),
    /// What was done to the code.
    Outcome(Outcome),
    /// A value for later phases.
    Output(Output),
    /// What asked for the run.
    Origin(Origin),
    /// A receiver was told of the run, or could not be.
    Notification(Notification),
    /// Somebody asked for the end of the run.
    Cancel(CancelRequest),
    /// Something that people should know of.
    Notice(Notice),
    /// A kind, or a shape of data, that this version does not know. Kept, so that an older page shows a newer journal
    /// without a gap.
    #[serde(untagged)]
    Other(Unknown),
}

impl FramePayload {
    /// The frame's `kind`.
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

    /// The frame's `data` as JSON.
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
        // Only maps with keys that are no text and failing writers make serde_json fail; there are none here.
        written.unwrap_or_else(|_| "{}".to_owned())
    }

    /// The payload of this kind with this data, if the kind is known and the data has its shape.
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

    /// The payload of this kind with this data; [`FramePayload::Other`] if this version does not know it.
    pub fn from_kind(kind: &str, data: Value) -> Self {
        Self::from_known_kind(kind, &data).unwrap_or_else(|| Self::Other(Unknown { kind: kind.to_owned(), data }))
    }

    /// What a command reports by printing `::frame {…}` on its standard output (CONTRACT.md, "Pipelines in TOML"): the
    /// fields of the data stand beside `kind`, or in an object `data`.
    ///
    /// `None`, and so a log line as it stands, if it is no such object, and for the kinds that only the engine may say
    /// (`status`, `phase`, `approval`, `origin`, `notification`): a command must not be able to forge the state of its run.
    ///
    /// Or a value for later phases, by `::output name=value` (issue 4).
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
        /// The members in a frame's JSON.
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

/// A frame as it is stored and sent: its data is JSON text that nobody on the way looks into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRecord {
    /// See [`Frame::seq`].
    pub seq: u64,
    /// See [`Frame::ts`].
    pub ts: Timestamp,
    /// See [`Frame::attempt`].
    pub attempt: u32,
    /// See [`Frame::phase`].
    pub phase: Option<Arc<str>>,
    /// See [`FramePayload::kind`].
    pub kind: Arc<str>,
    /// See [`FramePayload::data`].
    pub data: Arc<str>,
}

impl FrameRecord {
    /// Appends the frame's JSON to `out`. One line: JSON text has no line break in it.
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

    /// The frame's JSON.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(96 + self.data.len());
        self.write_json(&mut out);
        out
    }

    /// The seq of the frame that this log frame replaces, if it does. Reads no JSON: it stands at the data's end.
    pub fn replaces(&self) -> Option<u64> {
        if &*self.kind != "log" {
            return None;
        }
        let data = self.data.strip_suffix('}')?;
        let number = data.len() - data.bytes().rev().take_while(u8::is_ascii_digit).count();
        // A line that says so itself ends with its quotation mark.
        data[..number].ends_with(",\"replaces\":").then(|| data[number..].parse().ok()).flatten()
    }

    /// The frame, its data read. [`FramePayload::Other`] with `null` for data that is no JSON, which no writer of ours stores.
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
        fn stored_sent_and_read_back_is_the_same_frame(
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
            // The typed frame's own JSON says the same as the record's.
            prop_assert_eq!(serde_json::to_value(&frame).unwrap(), serde_json::from_str::<Value>(&json).unwrap());
        }

        #[test]
        fn whatever_a_command_prints_never_panics_nor_forges(line in "::frame .*") {
            if let Some(payload) = FramePayload::parse_report(&line) {
                let is_the_engines =
                    matches!(payload, FramePayload::Status(_) | FramePayload::Phase(_) | FramePayload::Approval(_) | FramePayload::Notification(_));
                prop_assert!(!is_the_engines && !matches!(payload, FramePayload::Other(_)));
            }
        }
    }

    #[test]
    fn the_contracts_example_reads() {
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
    fn record_knows_what_it_replaces() {
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
    fn a_frame_without_a_seq_is_none() {
        let json = r#"{"seq":0,"ts":"2026-11-21T10:00:00.123Z","attempt":1,"phase":null,"kind":"log","data":{}}"#;
        assert!(serde_json::from_str::<Frame>(json).is_err());
    }

    #[test]
    fn a_command_reports_in_either_shape() {
        let progress = FramePayload::Progress(Progress { done: 3, total: Some(10), unit: "files".into() });
        let beside = r#"::frame {"kind":"progress","done":3,"total":10,"unit":"files"}"#;
        let inside = r#"::frame {"kind":"progress","data":{"done":3,"total":10,"unit":"files"}}"#;
        assert_eq!(FramePayload::parse_report(beside).as_ref(), Some(&progress));
        assert_eq!(FramePayload::parse_report(inside).as_ref(), Some(&progress));
    }

    #[test]
    fn a_value_for_later_phases_has_a_name() {
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
    fn what_is_no_report_stays_a_line() {
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
