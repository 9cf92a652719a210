//! Records lead to the same frames wherever a server continues to read them.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::super::command::handover::record::{Record, TimedRecord, decode};
use super::super::command::supervisor::output_parser::OutputParser;
use super::super::row_frames::{OutputItem, RowFrames};
use crate::model::{FramePayload, Log, LogStream, Timestamp};
use crate::store::NewFrame;

/// What commands print: lines, pieces of lines, redraws, moves of the cursor, and bytes that are no characters.
fn printed() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[a-z]{1,9}\n".prop_map(String::into_bytes),
        2 => "[a-z]{1,5}".prop_map(String::into_bytes),
        2 => Just(b"\r".to_vec()),
        1 => Just(b"\n".to_vec()),
        1 => Just(b"\x1b[1A".to_vec()),
        1 => Just(b"\x1b[31m".to_vec()),
        1 => Just("é\u{1f600}".into()),
        1 => Just(vec![0xc3]),
        1 => Just(b"::frame {\"kind\":\"token\",\"data\":{\"text\":\"x\"}}\n".to_vec()),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// The records of these bytes, read in pieces with pauses between them.
fn spooled(bytes: &[u8], cuts: &[(prop::sample::Index, u64)]) -> Vec<u8> {
    let mut places: Vec<(usize, u64)> = cuts.iter().map(|(cut, pause)| (cut.index(bytes.len() + 1), *pause)).collect();
    places.sort_unstable();
    let (mut parser, mut records, mut now, mut from) =
        (OutputParser::new(LogStream::Output, None), Vec::new(), Duration::ZERO, 0);
    for (to, pause) in places {
        parser.push(&bytes[from..to], now, &mut records);
        now += Duration::from_millis(pause);
        parser.flush(now, &mut records);
        from = to;
    }
    parser.push(&bytes[from..], now, &mut records);
    parser.finish(&mut records);
    let mut spool = Vec::new();
    records.iter().for_each(|record| record.encode(1, 0, &mut spool));
    spool
}

/// The next records from this offset on.
fn read(spool: &[u8], offset: u64, count: usize) -> Vec<TimedRecord> {
    let mut at = offset;
    let next = std::iter::from_fn(|| {
        let (record, _) = decode(&spool[usize::try_from(at).unwrap()..], at).unwrap()?;
        at = record.end;
        Some(record)
    });
    next.take(count).collect()
}

fn item(record: TimedRecord) -> OutputItem {
    let frame =
        |kind: &str, data: String| NewFrame { ts: Timestamp(0), phase: None, kind: kind.into(), data: data.into() };
    match record.record {
        Record::Row { stream, data } => OutputItem::Row(stream, frame("log", data)),
        Record::Redraw { stream, row, text, cont } => {
            OutputItem::Redraw(row, Log { stream, line: text, cont, replaces: None })
        }
        Record::Frame { kind, data } => OutputItem::Frame(frame(&kind, data)),
        other => panic!("no output is {other:?}"),
    }
}

/// What a database has of a command.
#[derive(Default)]
struct Stored {
    journal: Vec<(String, String)>,
    offset: u64,
    rows: Option<(String, u64)>,
}

/// Journals in writes of these sizes. Before those that are marked, the server is replaced by one that knows only what
/// is stored, while the old one had read on.
fn journaled(spool: &[u8], writes: &[(usize, bool, u64)]) -> Vec<(String, String)> {
    let (mut stored, mut rows, phase) = (Stored::default(), RowFrames::default(), Arc::from("p"));
    let mut writes = writes.iter().cycle();
    loop {
        let (size, is_replaced, others) = *writes.next().unwrap();
        if is_replaced {
            // Read, and lost with the server.
            rows.frames(read(spool, stored.offset, size).into_iter().map(item).collect(), &phase);
            let known = stored.rows.as_ref().map(|(text, first)| RowFrames::from_json(text, *first).unwrap());
            rows = known.unwrap_or_default();
        }
        // Frames of others come between.
        (0..others).for_each(|_| stored.journal.push(("other".into(), String::new())));
        let records = read(spool, stored.offset, size);
        let Some(last) = records.last() else { return stored.journal };
        let end = last.end;
        let frames = rows.frames(records.into_iter().map(item).collect(), &phase);
        let first = stored.journal.len() as u64 + 1;
        let text = rows.to_json();
        rows.committed(first);
        stored.journal.extend(frames.into_iter().map(|frame| (frame.kind.to_string(), frame.data.to_string())));
        (stored.offset, stored.rows) = (end, Some((text, first)));
    }
}

/// The rows as a reader sees them in the end, by the seq of their first frame.
///
/// # Panics
/// A frame replaces one that is not there.
fn final_rows(journal: &[(String, String)]) -> Vec<(u64, String)> {
    let mut rows: Vec<(u64, String)> = Vec::new();
    for ((kind, data), seq) in journal.iter().zip(1..) {
        if kind != "log" {
            continue;
        }
        let FramePayload::Log(log) = FramePayload::from_kind("log", serde_json::from_str(data).unwrap()) else {
            panic!("{data}")
        };
        match log.replaces {
            Some(replaced) => rows.iter_mut().find(|(seq, _)| *seq == replaced).unwrap().1 = log.line,
            None => rows.push((seq, log.line)),
        }
    }
    rows
}

proptest! {
    #[test]
    fn output_is_the_same_wherever_a_server_continues(
        bytes in printed(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..1500u64), 0..20),
        writes in prop::collection::vec((1..6usize, any::<bool>(), 0..3u64), 1..20),
    ) {
        let spool = spooled(&bytes, &cuts);
        let undisturbed: Vec<_> = writes.iter().map(|(size, _, others)| (*size, false, *others)).collect();
        let expected = journaled(&spool, &undisturbed);
        let replaced = journaled(&spool, &writes);
        prop_assert_eq!(&replaced, &expected);
        // A redraw names a row that is there.
        final_rows(&replaced);
    }
}
