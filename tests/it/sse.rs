//! The properties of the fuzz target, over its seeds and over arbitrary bytes.

#[path = "../../fuzz/src/sse.rs"]
mod sse_checks;

use proptest::prelude::*;
use runtrail::model::sse::{SseParser, write_frame};
use runtrail::model::{Frame, FramePayload, FrameRecord, Log, LogStream, Timestamp};

use crate::support::rng::cases;

#[test]
fn sse_fuzz_seeds_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/sse");
    let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().map(|seed| seed.unwrap().path()).collect();
    assert!(seeds.len() >= 10, "{seeds:?}");
    for seed in seeds {
        eprintln!("{}", seed.display());
        sse_checks::check(&std::fs::read(seed).unwrap());
    }
}

/// Bytes that mean something in a stream or in UTF-8, and any others.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&[u8]] = &[
        b"\r",
        b"\n",
        b"\r\n",
        b"\0",
        b":",
        b" ",
        b"data",
        b"data: ",
        b"id: ",
        b"id",
        b"event: ",
        b"retry: ",
        b"7",
        "\u{feff}".as_bytes(),
        "\u{2028}".as_bytes(),
        "é".as_bytes(),
        b"\xEF\xBB",
        b"\xED\xA0\x80",
        b"\xF0\x9F",
        b"\xFF",
    ];
    let piece = prop_oneof![
        6 => prop::sample::select(PIECES).prop_map(<[u8]>::to_vec),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(2000), ..ProptestConfig::default() })]

    #[test]
    fn sse_arbitrary_bytes_hold(bytes in bytes()) {
        sse_checks::check(&bytes);
    }
}

/// A line of 10 MB with characters to escape, which must not be cut.
#[test]
fn sse_line_of_ten_megabytes_holds() {
    let line = "\r\n\0\u{feff}data: \"\\é\u{1F9E8}".repeat(10_000_000 / 20);
    let body = FramePayload::Log(Log { stream: LogStream::Stdout, line, cont: false, replaces: None });
    let (kind, data) = (body.kind().into(), body.data().into());
    let record = FrameRecord { seq: 1, ts: Timestamp(0), attempt: 1, phase: None, kind, data };
    let mut stream = String::new();
    write_frame(&mut stream, &record);
    let mut parser = SseParser::new("");
    let events: Vec<_> = stream.as_bytes().chunks(4093).flat_map(|piece| parser.push(piece)).collect();
    let [event] = &events[..] else { panic!("{} events", events.len()) };
    let frame: Frame = serde_json::from_str(&event.data).unwrap();
    assert!(frame.payload == body, "the line is what it was");
}
