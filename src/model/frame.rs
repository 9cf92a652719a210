//! Frames: the entries of a run's journal (docs/CONTRACT.md, "Frames").
//!
//! [`Frame`] is a parsed frame. [`FrameRecord`] is a frame as it is stored and sent: its data stays JSON text, so that
//! replaying a journal parses nothing.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::payload::FramePayload;
use super::time::Timestamp;

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
    use crate::model::kinds::{
        Finding, FixSafety, Log, LogStream, PhaseChange, PhaseState, Progress, StatusChange, Text, Unknown,
    };
    use crate::model::status::Status;

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
}
