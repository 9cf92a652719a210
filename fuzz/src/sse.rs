//! Properties of server-sent events for arbitrary bytes. Run by the fuzz target, and by `tests/it/sse.rs` over the
//! seeds.

use std::sync::Arc;

use runtrail::model::sse::{
    SseEvent, SseParser, heartbeat_event, multiplex_frame, problem_event, write_frame, write_multiplexed_frame,
};
use runtrail::model::{Frame, FramePayload, FrameRecord, Log, LogStream, Problem, ProblemCode, RunId, Timestamp};

/// Checks the bytes as a stream that a client reads, and as text inside a frame. The first byte decides how they are
/// split.
pub fn check(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else { return };
    reads_as_the_standard_says(rest, usize::from(first) + 1);
    carries_text(&String::from_utf8_lossy(rest), usize::from(first) + 1);
}

/// The stream parses as the standard defines, whole, split, and byte by byte.
fn reads_as_the_standard_says(stream: &[u8], step: usize) {
    let expected = standard(stream);
    for step in [stream.len().max(1), step, 1] {
        let mut parser = SseParser::new("0");
        let events: Vec<SseEvent> = stream.chunks(step).flat_map(|piece| parser.push(piece)).collect();
        assert_eq!((events, parser.last_event_id(), parser.retry()), (expected.0.clone(), &*expected.1, expected.2));
    }
}

/// A frame, a problem and what follows them are parsed as written, whatever their text.
fn carries_text(text: &str, step: usize) {
    let bodies = [
        FramePayload::Log(Log { stream: LogStream::Stdout, line: text.to_owned(), cont: true, replaces: None }),
        FramePayload::from_kind(text, serde_json::json!({ text: text })),
    ];
    let records = bodies.iter().zip(1..).map(|(payload, seq)| FrameRecord {
        seq,
        ts: Timestamp(0),
        attempt: 1,
        phase: Some(Arc::from(text)),
        kind: payload.kind().into(),
        data: payload.data().into(),
    });
    let records: Vec<FrameRecord> = records.collect();
    records.iter().for_each(names_its_run);
    let mut stream = String::new();
    for record in &records {
        let begin = stream.len();
        write_frame(&mut stream, record);
        // Nothing in the text can end a line, so nothing in it can begin a field.
        let lines: Vec<&str> = stream[begin..].split(['\r', '\n']).collect();
        assert!(matches!(lines[..], [id, data, "", ""] if id.starts_with("id: ") && data.starts_with("data: ")));
        assert!(!stream.contains('\0'));
    }
    let told = Problem::new(ProblemCode::Internal, text);
    stream.push_str(&problem_event(&told));
    stream.push_str(&heartbeat_event(2));

    let mut parser = SseParser::new("");
    let events: Vec<SseEvent> = stream.as_bytes().chunks(step).flat_map(|piece| parser.push(piece)).collect();
    assert_eq!((&events, parser.last_event_id()), (&standard(stream.as_bytes()).0, "2"));
    let [frames @ .., problem, heartbeat] = &events[..] else { panic!("{events:?}") };
    assert_eq!(frames.len(), records.len());
    for ((event, record), payload) in frames.iter().zip(&records).zip(&bodies) {
        assert_eq!((&*event.event, event.last_event_id.parse()), ("message", Ok(record.seq)));
        let frame: Frame = serde_json::from_str(&event.data).expect("a frame's JSON");
        assert_eq!((&frame, &frame.payload), (&record.to_frame(), payload));
        assert_eq!(frame.phase.as_deref(), Some(text));
    }
    assert_eq!((&*problem.event, &*heartbeat.event), ("problem", "heartbeat"));
    let told: serde_json::Value = serde_json::from_str(&problem.data).expect("JSON");
    assert_eq!(told["message"], text);
}

/// In a stream of many runs the frame is the same, with its run's id, however it was made.
fn names_its_run(record: &FrameRecord) {
    let run: RunId = "01939f1c-8f2a-7c3e-9d5b-0123456789ab".parse().expect("an id");
    let (mut plain, mut written, mut named) = (String::new(), String::new(), Vec::new());
    write_frame(&mut plain, record);
    write_multiplexed_frame(&mut written, &run, record);
    multiplex_frame(&mut named, &run, plain.as_bytes());
    assert_eq!(written.as_bytes(), named);
    let (events, id, _) = standard(&named);
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!(id, format!("{run}:{}", record.seq));
    let rest = event.data.strip_prefix(&format!("{{\"run\":\"{run}\",")).expect("the run's id");
    assert_eq!(format!("{{{rest}"), record.to_json());
}

/// The events in a stream, the last id and the reconnection time: WHATWG HTML 9.2.6, literally, on the whole text.
fn standard(stream: &[u8]) -> (Vec<SseEvent>, String, Option<u64>) {
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
    // A last line without a line end is discarded.
    let lines = text.rsplit_once('\n').map_or_else(Vec::new, |(lines, _)| lines.split('\n').collect());
    let (mut data, mut kind, mut id_buffer) = (Vec::new(), "", "0".to_owned());
    let (mut events, mut last_event_id, mut retry) = (Vec::new(), "0".to_owned(), None);
    for line in lines {
        let (field, value) = match line.split_once(':') {
            None if line.is_empty() => {
                last_event_id.clone_from(&id_buffer);
                if !data.is_empty() {
                    let event = if kind.is_empty() { "message" } else { kind };
                    let last_event_id = last_event_id.clone();
                    events.push(SseEvent { event: event.to_owned(), data: data.join("\n"), last_event_id });
                }
                data.clear();
                kind = "";
                continue;
            }
            None => (line, ""),
            Some((field, value)) => (field, value.strip_prefix(' ').unwrap_or(value)),
        };
        match field {
            "event" => kind = value,
            "data" => data.push(value),
            "id" if !value.contains('\0') => id_buffer = value.to_owned(),
            "retry" if value.chars().all(|digit| digit.is_ascii_digit()) => retry = value.parse().ok().or(retry),
            _ => {}
        }
    }
    (events, last_event_id, retry)
}
