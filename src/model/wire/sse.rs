//! Server-sent events as text: written by the server, parsed by clients that are no browser, and by tests.
//!
//! Source: WHATWG HTML 9.2, "Server-sent events". What a stream contains: docs/CONTRACT.md, "The stream".

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::run_list::RunListUpdate;
use crate::model::frame::FrameRecord;
use crate::model::run::RunId;
use crate::model::status::Status;

/// Appends a frame. Its `id` is its seq, and it has no `event` line, so that a plain `onmessage` receives it.
pub fn write_frame(out: &mut String, record: &FrameRecord) {
    // Writing to a String never fails, here and below.
    let _ = write!(out, "id: {}\ndata: ", record.seq);
    record.write_json(out);
    out.push_str("\n\n");
}

/// Appends a frame to a multiplexed stream: its id and its data name the run.
pub fn write_multiplexed_frame(out: &mut String, run: &RunId, record: &FrameRecord) {
    let _ = write!(out, "id: {run}:{}\ndata: {{\"run\":\"{run}\",", record.seq);
    let json = record.to_json();
    out.push_str(json.strip_prefix('{').unwrap_or(&json));
    out.push_str("\n\n");
}

/// Appends a frame that [`write_frame`] has written, in the form of [`write_multiplexed_frame`].
pub fn multiplex_frame(out: &mut Vec<u8>, run: &RunId, frame: &[u8]) {
    const ID: &[u8] = b"id: ";
    // The text before the JSON contains no brace.
    let brace = frame.iter().position(|&byte| byte == b'{').map_or(frame.len(), |brace| brace + 1);
    let (head, json) = frame.split_at(brace);
    out.extend_from_slice(ID);
    out.extend_from_slice(run.as_str().as_bytes());
    out.push(b':');
    out.extend_from_slice(head.strip_prefix(ID).unwrap_or(head));
    out.extend_from_slice(b"\"run\":\"");
    out.extend_from_slice(run.as_str().as_bytes());
    out.extend_from_slice(b"\",");
    out.extend_from_slice(json);
}

/// The first bytes of a stream: the delay before reconnecting, the cursor (so that no parser loses it) and the run's
/// state.
pub fn ready_event(cursor: u64, head: u64, status: Status, attempt: u32) -> String {
    format!(
        "retry: 3000\nid: {cursor}\nevent: ready\ndata: {{\"head\":{head},\"status\":\"{status}\",\"attempt\":{attempt}}}\n\n"
    )
}

/// Sent after a time of silence. It has no id.
pub fn heartbeat_event(head: u64) -> String {
    format!("event: heartbeat\ndata: {{\"head\":{head}}}\n\n")
}

/// Sent when the run is finished and every frame is delivered.
pub fn end_event(status: Status, head: u64) -> String {
    format!("event: end\ndata: {{\"status\":\"{status}\",\"head\":{head}}}\n\n")
}

/// How many runs a multiplexed stream can carry.
pub const MAX_STREAM_RUNS: usize = 100;

/// The state of a run when a multiplexed stream starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPosition {
    pub run: RunId,
    /// The seq of the journal's last frame.
    pub head: u64,
    pub status: Status,
    pub attempt: u32,
}

/// The first bytes of a multiplexed stream: the delay before reconnecting, the state of each run, and whether the list
/// is included.
pub fn multiplexed_ready_event(runs: &[StreamPosition], list: bool) -> String {
    format!("retry: 3000\nevent: ready\ndata: {}\n\n", serde_json::json!({"runs": runs, "list": list}))
}

/// Sent in a multiplexed stream after a time of silence: the head of each run. It has no id.
pub fn multiplexed_heartbeat_event<'a>(heads: impl Iterator<Item = (&'a RunId, u64)>) -> String {
    let heads: serde_json::Map<_, _> = heads.map(|(run, head)| (run.to_string(), head.into())).collect();
    format!("event: heartbeat\ndata: {}\n\n", serde_json::json!({ "heads": heads }))
}

/// Sent in a multiplexed stream when a run is finished and all its frames are delivered.
pub fn multiplexed_end_event(run: &RunId, status: Status, head: u64) -> String {
    format!("event: end\ndata: {{\"run\":\"{run}\",\"status\":\"{status}\",\"head\":{head}}}\n\n")
}

/// Sent when a run of the list has changed or was deleted.
pub fn list_event(run: &RunListUpdate) -> String {
    format!("event: list\ndata: {}\n\n", serde_json::json!(run))
}

/// Sent before the server closes a stream that failed.
pub fn problem_event(problem: &Problem) -> String {
    let data = serde_json::json!({
        "code": problem.code, "message": problem.detail, "retryable": problem.retryable,
    });
    format!("event: problem\ndata: {data}\n\n")
}

/// Sent when a run of a multiplexed stream has failed; the stream continues with the others.
pub fn multiplexed_problem_event(run: &RunId, problem: &Problem) -> String {
    let data = serde_json::json!({
        "run": run, "code": problem.code, "message": problem.detail, "retryable": problem.retryable,
    });
    format!("event: problem\ndata: {data}\n\n")
}

/// The delay before reconnecting, in milliseconds; sent before the server stops.
pub fn retry_hint(milliseconds: u64) -> String {
    format!("retry: {milliseconds}\n\n")
}

/// An event as a client receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEvent {
    /// The type; `message` if the stream names none.
    pub event: String,
    /// The lines of the data, joined by LF.
    pub data: String,
    /// The last event id after this event.
    pub last_event_id: String,
}

/// Parses a stream incrementally, in chunks of any size.
///
/// Takes bytes, since a chunk can end inside a character. Invalid UTF-8 becomes U+FFFD.
#[derive(Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    /// The last byte was a CR, so an LF now belongs to the same line break.
    after_cr: bool,
    /// A line has ended, so a byte order mark is ordinary text now.
    begun: bool,
    event: String,
    data: String,
    id: String,
    last_event_id: String,
    retry: Option<u64>,
}

impl SseParser {
    /// A parser for a new connection. `last_event_id` is that of the connection before, or empty.
    pub fn new(last_event_id: &str) -> Self {
        Self { id: last_event_id.to_owned(), last_event_id: last_event_id.to_owned(), ..Self::default() }
    }

    /// What a reconnect sends as `Last-Event-ID`.
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// The last delay before reconnecting that the stream sent, in milliseconds.
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// The events that this chunk completes.
    pub fn push(&mut self, piece: &[u8]) -> Vec<SseEvent> {
        let mut events = Vec::new();
        for &byte in piece {
            let after_cr = std::mem::take(&mut self.after_cr);
            match byte {
                b'\n' if after_cr => {}
                b'\n' => events.extend(self.end_line()),
                b'\r' => {
                    self.after_cr = true;
                    events.extend(self.end_line());
                }
                _ => self.line.push(byte),
            }
        }
        events
    }

    fn end_line(&mut self) -> Option<SseEvent> {
        let bytes = std::mem::take(&mut self.line);
        let bytes = if self.begun { &bytes[..] } else { bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes) };
        self.begun = true;
        if bytes.is_empty() {
            return self.dispatch();
        }
        let line = String::from_utf8_lossy(bytes);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().or(self.retry);
            }
            // A comment (empty field name), or a field that the standard does not know.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<SseEvent> {
        self.last_event_id.clone_from(&self.id);
        let event = std::mem::take(&mut self.event);
        let mut data = std::mem::take(&mut self.data);
        data.pop()?; // The last LF; without any data line there is no event.
        Some(SseEvent {
            event: if event.is_empty() { "message".to_owned() } else { event },
            data,
            last_event_id: self.last_event_id.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::kinds::{Log, LogStream};
    use crate::model::payload::FramePayload;
    use crate::model::time::Timestamp;
    use crate::model::wire::problem::ProblemCode;

    fn record(seq: u64, line: &str) -> FrameRecord {
        let payload =
            FramePayload::Log(Log { stream: LogStream::Stdout, line: line.into(), cont: false, replaces: None });
        FrameRecord {
            seq,
            ts: Timestamp(0),
            attempt: 1,
            phase: None,
            kind: payload.kind().into(),
            data: payload.data().into(),
        }
    }

    fn all(stream: &str) -> Vec<SseEvent> {
        SseParser::new("").push(stream.as_bytes())
    }

    fn event(event: &str, data: &str, id: &str) -> SseEvent {
        SseEvent { event: event.into(), data: data.into(), last_event_id: id.into() }
    }

    #[test]
    fn stream_events_roundtrip() {
        let stream = [
            ready_event(4, 9, Status::Running, 2),
            heartbeat_event(9),
            problem_event(&Problem::new(ProblemCode::DatabaseUnavailable, "busy\nwait")),
            end_event(Status::Failed, 9),
        ]
        .concat();
        let events = all(&stream);
        assert_eq!(events[0], event("ready", r#"{"head":9,"status":"running","attempt":2}"#, "4"));
        assert_eq!(events[1], event("heartbeat", r#"{"head":9}"#, "4"));
        assert_eq!(events[2].event, "problem");
        let data: serde_json::Value = serde_json::from_str(&events[2].data).unwrap();
        assert_eq!(
            data,
            serde_json::json!({"code": "database_unavailable", "message": "busy\nwait", "retryable": true})
        );
        assert_eq!(events[3], event("end", r#"{"status":"failed","head":9}"#, "4"));
    }

    /// The standard's examples and its corner cases, as in web-platform-tests/eventsource.
    #[test]
    fn parser_follows_the_standard() {
        let cases: &[(&str, &[SseEvent])] = &[
            ("data: a\n\n", &[event("message", "a", "")]),
            ("data:a\r\rdata: b\r\n\r\n", &[event("message", "a", ""), event("message", "b", "")]),
            ("data: YHOO\ndata: +2\ndata: 10\n\n", &[event("message", "YHOO\n+2\n10", "")]),
            (": comment\n\n", &[]),
            ("data\n\ndata\ndata\n\ndata:", &[event("message", "", ""), event("message", "\n", "")]),
            ("data:test\n\ndata: test\n\n", &[event("message", "test", ""), event("message", "test", "")]),
            ("data:  two\n\n", &[event("message", " two", "")]),
            ("\u{feff}data: a\n\n\u{feff}data: b\n\n", &[event("message", "a", "")]),
            ("id: 1\ndata: a\n\nid\ndata: b\n\n", &[event("message", "a", "1"), event("message", "b", "")]),
            ("id: 7\n\ndata: a\n\n", &[event("message", "a", "7")]),
            ("id: 1\u{0}2\ndata: a\n\n", &[event("message", "a", "")]),
            ("event: x\n\ndata: a\n\n", &[event("message", "a", "")]),
            ("event: x\ndata: a\n\ndata: b\n\n", &[event("x", "a", ""), event("message", "b", "")]),
            ("id: 5\ndata: half", &[]),
        ];
        for (stream, expected) in cases {
            assert_eq!(&all(stream), expected, "{stream:?}");
        }
    }

    #[test]
    fn parser_ignores_the_id_of_half_an_event() {
        let mut parser = SseParser::new("3");
        assert_eq!(parser.push(b"id: 4\ndata: x\n"), []);
        assert_eq!(parser.last_event_id(), "3");
        assert_eq!(parser.push(b"\n").len(), 1);
        assert_eq!(parser.last_event_id(), "4");
    }

    #[test]
    fn parser_retry_takes_digits_only() {
        let mut parser = SseParser::new("");
        parser.push(b"retry: 3000\nretry: 3x\nretry:\nretry: -1\n");
        assert_eq!(parser.retry(), Some(3000));
    }

    proptest! {
        #[test]
        fn parser_reads_frames_in_any_chunks(lines in prop::collection::vec(any::<String>(), 0..8), step in 1usize..40) {
            let mut stream = ready_event(0, 8, Status::Running, 1);
            let records: Vec<FrameRecord> = lines.iter().zip(1..).map(|(line, seq)| record(seq, line)).collect();
            for record in &records {
                write_frame(&mut stream, record);
            }
            let mut parser = SseParser::new("");
            let events: Vec<SseEvent> = stream.as_bytes().chunks(step).flat_map(|piece| parser.push(piece)).collect();
            prop_assert_eq!(events.len(), records.len() + 1);
            for (event, record) in events[1..].iter().zip(&records) {
                prop_assert_eq!(&event.event, "message");
                prop_assert_eq!(&event.last_event_id, &record.seq.to_string());
                prop_assert_eq!(&event.data, &record.to_json());
            }
        }

        #[test]
        fn parser_result_does_not_depend_on_chunks(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), any::<u8>()], 0..300),
            step in 1usize..20,
        ) {
            let mut whole = SseParser::new("");
            let mut split = SseParser::new("");
            let pieces: Vec<SseEvent> = bytes.chunks(step).flat_map(|piece| split.push(piece)).collect();
            prop_assert_eq!(whole.push(&bytes), pieces);
            prop_assert_eq!(whole.last_event_id(), split.last_event_id());
        }
    }
}
