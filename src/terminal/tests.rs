//! The rows of an output, whatever pieces it comes in and whatever is given early.

mod alternate;
mod hostile;
mod modes;
mod pieces;
mod regions;

use super::row::MAX_COLUMNS;
use super::{Event, Lines, MAX_REPORT, ROWS};
use crate::model::kinds::MAX_LINE_BYTES;

/// What a reader of the journal ends up with: each row as it was given last, and the reports among them.
#[derive(Debug, Default, PartialEq)]
struct Journal {
    rows: Vec<(String, bool)>,
    reports: Vec<String>,
}

impl Journal {
    fn add(&mut self, events: &mut Vec<Event>) {
        for event in events.drain(..) {
            match event {
                Event::Row { text, cont } => self.rows.push((text, cont)),
                Event::Redraw { row, text, cont } => self.rows[usize::try_from(row).unwrap()] = (text, cont),
                Event::Report(line) => self.reports.push(line),
            }
        }
    }

    /// Whole lines: pieces put together, without blank lines at the end.
    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for (text, cont) in &self.rows {
            match lines.last_mut() {
                Some(last) if *cont => last.push_str(text),
                _ => lines.push(text.clone()),
            }
        }
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }
}

/// What comes of bytes in these pieces; after each of them it may be that time passes.
fn journal(pieces: &[&[u8]], pauses: &[bool]) -> Journal {
    let (mut lines, mut events, mut journal) = (Lines::new(true), Vec::new(), Journal::default());
    let mut pauses = pauses.iter().cycle();
    for piece in pieces {
        lines.push(piece, &mut events);
        if pauses.next() == Some(&true) {
            lines.redraw(&mut events);
            lines.flush(&mut events);
        }
        journal.add(&mut events);
    }
    lines.finish(&mut events);
    journal.add(&mut events);
    journal
}

fn lines(bytes: &[u8]) -> Vec<String> {
    journal(&[bytes], &[]).lines()
}

/// A line without its sequences.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(place) = rest.find('\x1b') {
        text.push_str(&rest[..place]);
        let end = if rest[place..].starts_with("\x1b[") { "m" } else { "\x1b\\" };
        rest = rest[place..].split_once(end).unwrap().1;
    }
    text + rest
}

#[test]
fn line_ends_are_lf_or_crlf() {
    assert_eq!(lines(b"a\nb\r\n\nc"), ["a", "b", "", "c"]);
    assert_eq!(lines(b"a\r\r\nb"), ["a", "b"]);
    assert_eq!(journal(&[b"\n"], &[]).rows, [(String::new(), false)]);
    assert_eq!(journal(&[b""], &[]).rows, []);
    assert_eq!(journal(&[b"a\r", b"\nb"], &[true]).lines(), ["a", "b"]);
}

#[test]
fn carriage_return_moves_and_printing_overwrites() {
    for (bytes, line) in [
        ("10%\r20%\r100%", "100%"),
        ("three\rx\ty", "xhree   y"),
        ("one\rtwo\rthree\r", "three"),
        ("abc\rx", "xbc"),
        ("abc\x08\x08x", "axc"),
        ("abc\rx\x1b[K", "x"),
        ("abcdef\x1b[3D\x1b[1K!", "   !ef"),
        ("a\tb\r\x1b[@", " a       b"),
        ("abcdef\r\x1b[2Cx\x1b[2P", "abxf"),
        ("abcdef\r\x1b[2X", "  cdef"),
        ("abc\r\x1b[2@x", "x abc"),
        ("abc\x1b[2K\rz", "z"),
        ("a\x1b[5Gb", "a   b"),
        ("a\tb", "a\tb"),
        ("a\tb\r\x1b[3Cx", "a  x    b"),
        ("日本\rx", "x 本"),
        ("日本\r\x1b[Cx", " x本"),
        ("e\u{301}a\rx", "xa"),
        ("ab\x1b7cd\x1b8X", "abXd"),
    ] {
        assert_eq!(lines(bytes.as_bytes()), [line], "{bytes:?}");
    }
}

#[test]
fn cursor_moves_over_rows() {
    let block = (0..200).map(|i| format!("layer a {i}\nlayer b {i}\n\x1b[2A\x1b[2K")).collect::<String>();
    assert_eq!(lines(format!("{block}\x1b[2B\ndone\n").as_bytes()), ["", "layer b 199", "", "done"]);
    assert_eq!(lines(b"a\nb\nc\x1b[2Ax\x1b[Jy"), ["axy"]);
    assert_eq!(lines(b"a\nb\n\x1b[A\x1b[Lnew\n"), ["a", "new", "b"]);
    assert_eq!(lines(b"a\nb\nc\x1b[A\x1b[M"), ["a", "c"]);
    assert_eq!(lines(b"a\nb\x1bMx"), ["ax", "b"]);
    assert_eq!(lines(b"a\nb\x1b[2J\x1b[Hc"), ["c"]);
    // What has left the screen stays.
    let many = (0..ROWS + 10).map(|i| format!("{i}\n")).collect::<String>();
    let after = lines(format!("{many}\x1b[Hx").as_bytes());
    assert_eq!((after.len(), after[10].as_str(), after[11].as_str()), (ROWS + 10, "10", "x1"));
}

#[test]
fn styles_carry_over_rows_and_pieces() {
    let red = b"\x1b[31mfirst\nsecond\nthird\x1b[0m\nfourth\n";
    let expected = ["\x1b[31mfirst\x1b[0m", "\x1b[31msecond\x1b[0m", "\x1b[31mthird\x1b[0m", "fourth"];
    assert_eq!(lines(red), expected);
    let pieces: Vec<&[u8]> = red.chunks(1).collect();
    assert_eq!(journal(&pieces, &[]).lines(), expected);
    let link = b"\x1b]8;id=1;https://a.test/x\x1b\\one\ntwo\x1b]8;;\x07 three\n";
    let open = "\x1b]8;;https://a.test/x\x1b\\";
    let close = "\x1b]8;;\x1b\\";
    assert_eq!(lines(link), [format!("{open}one{close}"), format!("{open}two{close} three")]);
    for (given, written) in [
        ("\x1b[1;38;5;208mx\x1b[m", "\x1b[1;38;5;208mx\x1b[0m"),
        ("\x1b[38:2::1:2:3mx", "\x1b[38;2;1;2;3mx\x1b[0m"),
        ("\x1b[31mx\x1b[32my", "\x1b[31mx\x1b[0;32my\x1b[0m"),
        ("\x1b[1m\x1b[0mx\x1b[0m", "x"),
        ("\x1b[97;104;9mx", "\x1b[9;97;104mx\x1b[0m"),
    ] {
        assert_eq!(lines(given.as_bytes()), [written], "{given:?}");
    }
}

#[test]
fn broken_sequences_lose_no_text() {
    for (bytes, line) in [
        ("\x1b]0;title\x07a", "a"),
        ("\x1b]0;cut off\na", "a"),
        ("\x1bPdata\x1b\\a", "a"),
        ("\x1b[3\x1b[1Da", "a"),
        ("\x1b[3é", "é"),
        ("a\x1b", "a"),
        ("a\x1b[31", "a"),
        ("\u{9b}31ma", "\x1b[31ma\x1b[0m"),
        ("\x1b(Ba\x0f", "a"),
        ("\x1b[?25la\x1b[>4;1mb\x1b[?2004h", "ab"),
        ("a\x1b[99999999999Cb", &format!("a{}b", " ".repeat(MAX_COLUMNS - 2))),
    ] {
        assert_eq!(lines(bytes.as_bytes()).last().map(String::as_str), Some(line), "{bytes:?}");
    }
    assert_eq!(lines(b"\x1b]0;cut off\na").len(), 2);
}

#[test]
fn control_characters_without_effect_stay() {
    let text = "a\0b\u{1}c\u{7f}d\u{85}e\u{7}\u{202e}f\u{200b}";
    assert_eq!(lines(text.as_bytes()), [text]);
    assert_eq!(
        lines(format!("xbc\ra{}", &text[1..]).as_bytes()).concat().chars().filter(|c| c.is_control()).count(),
        5
    );
    assert_eq!(lines(b"a\xffb\xc3\n"), ["a\u{fffd}b\u{fffd}"]);
}

#[test]
fn long_lines_are_split_between_characters_and_never_in_a_sequence() {
    let orange = format!("{}\x1b[38;5;208mORANGE\x1b[0m\n", " ".repeat(65530));
    let journal_of = journal(&[orange.as_bytes()], &[]);
    assert!(journal_of.rows.iter().all(|(text, _)| text.len() <= MAX_LINE_BYTES));
    assert_eq!(plain(&journal_of.lines()[0]), format!("{}ORANGE", " ".repeat(65530)));
    assert!(journal_of.rows.last().unwrap().0.contains("\x1b[38;5;208m"));
    for long in ["x".repeat(MAX_LINE_BYTES), "é".repeat(MAX_LINE_BYTES), format!("x{}", "日".repeat(MAX_LINE_BYTES))]
    {
        let journal = journal(&[long.as_bytes(), b"\nshort\n"], &[]);
        assert_eq!(journal.lines(), [long.as_str(), "short"]);
        assert!(journal.rows.iter().all(|(text, _)| text.len() <= MAX_LINE_BYTES));
        assert_eq!(journal.rows.iter().filter(|(_, cont)| *cont).count() + 2, journal.rows.len());
    }
    // Each letter with a color of its own, also where the row was written over.
    let colors = (0..30_000).map(|i| format!("\x1b[38;2;{};{};{}mx", i % 250, i / 250, i % 7)).collect::<String>();
    for start in ["", "\r", "abc\r"] {
        let journal = journal(&[start.as_bytes(), colors.as_bytes()], &[]);
        assert!(journal.rows.iter().all(|(text, _)| text.len() <= MAX_LINE_BYTES));
        assert_eq!(journal.lines().iter().map(|line| plain(line).len()).sum::<usize>(), 30_000);
    }
}

#[test]
fn a_prompt_is_given_early_and_continued() {
    let (mut lines, mut events) = (Lines::new(true), Vec::new());
    lines.push("Continue? é".as_bytes().split_last().unwrap().1, &mut events);
    assert!(lines.has_new());
    lines.flush(&mut events);
    assert!(!lines.has_new(), "half a character waits for its end");
    lines.push(&"é".as_bytes()[1..], &mut events);
    lines.push(b" y\nnext\n", &mut events);
    let row = |text: &str, cont| Event::Row { text: text.into(), cont };
    assert_eq!(events, [row("Continue? ", false), row("é y", true), row("next", false)]);
}

#[test]
fn a_progress_bar_is_one_row() {
    let (mut lines, mut events) = (Lines::new(true), Vec::new());
    lines.push(b"\r 0%", &mut events);
    lines.flush(&mut events);
    for step in 1..100 {
        lines.push(format!("\r{step:2}%").as_bytes(), &mut events);
        assert!(lines.has_redraws() && !lines.has_new());
    }
    lines.push(b"\r 0%", &mut events);
    lines.redraw(&mut events);
    assert_eq!(events, [Event::Row { text: " 0%".into(), cont: false }], "nothing to see has changed");
    events.clear();
    lines.push(b"\r100%\ndone\n", &mut events);
    lines.finish(&mut events);
    let redraw = Event::Redraw { row: 0, text: "100%".into(), cont: false };
    assert_eq!(events, [Event::Row { text: "done".into(), cont: false }, redraw]);
}

#[test]
fn reports_are_given_whole_and_raw() {
    // Longer than a line, and not longer than a value.
    let given = format!("::output a={}\x1b[31m\t\x01", "x".repeat(MAX_LINE_BYTES + 1000));
    for step in [1000, 7, usize::MAX] {
        let bytes = format!("50%\r{given}\n60%\n::output no report\n::frames\n");
        let pieces: Vec<&[u8]> = bytes.as_bytes().chunks(step.min(bytes.len())).collect();
        let journal = journal(&pieces, &[true]);
        assert_eq!(journal.reports, std::slice::from_ref(&given));
        assert_eq!(journal.lines(), ["60%", "::output no report", "::frames"]);
    }
    assert_eq!(journal(&[b"::output a=b"], &[]).reports, ["::output a=b"]);
    assert_eq!(journal(&[b"x::output a=b\n"], &[]).reports, [""; 0]);
    let endless = journal(&[b"::output a=", &vec![b'x'; MAX_REPORT + 1]], &[]);
    assert!(endless.reports.is_empty() && endless.rows.iter().all(|(text, _)| text.len() <= MAX_LINE_BYTES));
    let mut unread = (Lines::new(false), Vec::new());
    unread.0.push(b"::output a=b\n", &mut unread.1);
    assert_eq!(unread.1, [Event::Row { text: "::output a=b".into(), cont: false }]);
}

#[test]
fn memory_stays_bounded() {
    let mut lines = Lines::new(true);
    let mut events = Vec::new();
    for _ in 0..30 {
        lines.push(&[b'x'; 60_000], &mut events);
        lines.push(b"\n\x1b]0;endless", &mut events);
        lines.push(&[b'y'; 60_000], &mut events);
        lines.push(b"\r\n", &mut events);
        events.clear();
    }
    assert!(format!("{lines:?}").len() < 1 << 20);
    const { assert!(MAX_COLUMNS * 4 <= MAX_LINE_BYTES) };
}
