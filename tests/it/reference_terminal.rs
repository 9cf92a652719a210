//! Log lines compared with a terminal: pyte, in one process for thousands of generated scripts.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use runtrail::terminal::{Event, Lines, ROWS};
use serde_json::{Value, json};

use crate::support::rng::cases;

/// How many scripts are compared; so many times that at night.
const SCRIPTS: u32 = 2000;

/// The process that runs pyte.
struct Reference {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Reference {
    fn start() -> Self {
        let python =
            std::env::var("RUNTRAIL_PYTE").expect("RUNTRAIL_PYTE names a Python that has pyte: see scripts/setup");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/terminal/reference.py");
        let mut command = Command::new(python);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    /// The first row that a terminal would show otherwise.
    fn difference(&mut self, script: &[u8], lines: &[String]) -> Option<Value> {
        let hex = script.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        writeln!(self.input, "{}", json!({ "rows": ROWS, "script": hex, "lines": lines })).unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer).expect("pyte has failed; its words are above");
        Some(answer).filter(|answer| !answer.is_null())
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of an output that arrives in these pieces, with a pause after some of them, as a reader of the journal
/// gets them.
fn lines_of(script: &[u8], steps: &[usize], pauses: &[bool]) -> Vec<String> {
    let (mut lines, mut events) = (Lines::new(false), Vec::new());
    let (mut rest, mut pauses) = (script, pauses.iter().cycle());
    for &step in steps.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(step.min(rest.len()));
        lines.push(piece, &mut events);
        if pauses.next() == Some(&true) {
            lines.redraw(&mut events);
            lines.flush(&mut events);
        }
        rest = after;
    }
    lines.finish(&mut events);
    let mut rows: Vec<(String, bool)> = Vec::new();
    for event in events {
        match event {
            Event::Row { text, cont } => rows.push((text, cont)),
            Event::Redraw { row, text, cont } => rows[usize::try_from(row).unwrap()] = (text, cont),
            Event::Report(_) => unreachable!("none are read"),
        }
    }
    let mut joined: Vec<String> = Vec::new();
    for (text, cont) in rows {
        match joined.last_mut() {
            Some(last) if cont => last.push_str(&text),
            _ => joined.push(text),
        }
    }
    joined
}

/// Text and sequences, whole, broken and cut off: all that pyte reads as terminals do. It does not know subparameters
/// (`4:3`), HPA, strings without an end, an ESC or a letter beyond ASCII within a sequence; tests/terminal/reference.py
/// has where else it differs.
fn script() -> impl Strategy<Value = Vec<u8>> {
    let word = || {
        prop_oneof![
            6 => "[a-zA-Z0-9 .%=#-]{1,9}",
            1 => prop::sample::select(vec!["é", "日本", "한", "\u{1F600}", "e\u{301}", "o\u{308}\u{323}", "ﬁ", "…", "█▌"])
                .prop_map(str::to_owned),
        ]
    };
    let text = |text: String| text.into_bytes();
    let token = prop_oneof![
        12 => word().prop_map(text),
        3 => Just(b"\n".to_vec()),
        3 => Just(b"\r".to_vec()),
        1 => Just(b"\r\n".to_vec()),
        3 => prop::sample::select(b"\x08\x08\t\t\x0b\x0c\x07\0\x7f\x01\x0e\x0f".to_vec()).prop_map(|byte| vec![byte]),
        2 => "\x1b\\[[0-9]?[ABEFDCGaed]".prop_map(text),
        1 => "\x1b\\[([0-9]{1,2})?(;[0-9]{1,2})?[Hf]".prop_map(text),
        2 => "\x1b\\[\\??[012]?K".prop_map(text),
        1 => "\x1b\\[[012]?J".prop_map(text),
        2 => "\x1b\\[[0-9]?[@PXLM]".prop_map(text),
        2 => "\x1b\\[(0|1|3|4|5|7|9|2[34579]|3[0-79]|4[0-79]|9[0-7]|38;5;(1[6-9]|[2-9][0-9]|2[0-4][0-9])|48;2;[0-9]{1,2};0;7)(;(1|4|3[0-7]))?m"
            .prop_map(text),
        1 => Just(b"\x1b[m".to_vec()),
        2 => "\x1b[DEM78]".prop_map(text),
        1 => "\x1b\\[[su]".prop_map(text),
        1 => word().prop_map(|word| format!("\x1b7{word}\x1b8").into_bytes()),
        // Like apt: a bar below the rows that scroll.
        1 => word().prop_map(|word| format!("\x1b7\x1b[{ROWS};0f{word}\x1b8").into_bytes()),
        1 => prop::collection::vec("[a-z]{1,3}\r?\n", 1..12).prop_map(|lines| lines.concat().into_bytes()),
        2 => "\x1b\\[([0-9]{1,2})?(;[0-9]{0,2})?r".prop_map(text),
        1 => "\x1b\\[[0-9]?[ST^]".prop_map(text),
        1 => "\x1b\\[[1-9]?b".prop_map(text),
        1 => "\x1b(\\[[012]?I|\\[[0-9]?Z|H|\\[[03]?g|\\[\\?5W)".prop_map(text),
        1 => "\x1b\\[(4|\\?6)[hhl]".prop_map(text),
        1 => "\x1b\\[\\?(47|104[789]|6;1049)[hll]".prop_map(text),
        1 => prop::sample::select(vec!["\x1b(B", "\x1b[?25l", "\x1b[!p", "\x1bc", "\x1b[?2004h", "\x1b[6n", "\x1b[>c", "\x1b[1\x18", "\x1b[99z"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::sample::select(vec!["\x1b]0;a title\x07", "\x1b]2;é\x1b\\", "\x1b]8;;https://a.test/x\x1b\\", "\x1b]8;;\x07"])
            .prop_map(|text| text.as_bytes().to_vec()),
        // A line end within a sequence, and bytes that are no UTF-8.
        1 => prop::sample::select(vec![&b"\x1b[3\r1m"[..], b"\x1b[\n2C", b"\xff", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc3(", b"\xed\xa0\x80"])
            .prop_map(<[u8]>::to_vec),
    ];
    // Some scripts are longer than the screen is high.
    let scroll = prop_oneof![4 => Just(0usize), 1 => 45..60usize];
    let cut_off = prop_oneof![6 => Just(""), 1 => Just("\x1b"), 1 => Just("\x1b[3"), 1 => Just("\x1b]0;x")];
    (scroll, prop::collection::vec(token, 0..50), cut_off).prop_map(|(scroll, tokens, cut_off)| {
        let above = (0..scroll).map(|row| format!("row {row}\n")).collect::<String>();
        [above.into_bytes(), tokens.concat(), cut_off.as_bytes().to_vec()].concat()
    })
}

#[test]
#[ignore = "needs the terminal of scripts/test.sh"]
fn terminal_reference_agrees_with_log_lines() {
    let reference = RefCell::new(Reference::start());
    let mut runner = TestRunner::new(Config { cases: cases(SCRIPTS), failure_persistence: None, ..Config::default() });
    let scripts = (script(), prop::collection::vec(1usize..20, 1..12), prop::collection::vec(any::<bool>(), 1..20));
    let ran = runner.run(&scripts, |(script, steps, pauses)| {
        let lines = lines_of(&script, &steps, &pauses);
        let difference = reference.borrow_mut().difference(&script, &lines);
        prop_assert!(difference.is_none(), "{difference:?}\nof {:?}", String::from_utf8_lossy(&script));
        Ok(())
    });
    if let Err(error) = ran {
        panic!("{error}");
    }
}

#[test]
#[ignore = "needs the terminal of scripts/test.sh"]
fn terminal_reference_detects_a_wrong_line() {
    let mut reference = Reference::start();
    let script = b"10%\r\x1b[31m20%\x1b[0m\nend";
    for (lines, row) in [
        (vec!["\x1b[31m20%\x1b[0m", "end"], None),
        (vec!["20%", "end"], Some(0)),
        (vec!["10%", "\x1b[31m20%\x1b[0m", "end"], Some(0)),
        (vec!["\x1b[31m20%\x1b[0m"], Some(1)),
    ] {
        let lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
        let found = reference.difference(script, &lines);
        assert_eq!(found.map(|found| found["row"].as_u64().unwrap()), row, "{lines:?}");
    }
}
