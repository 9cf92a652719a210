//! The alternate screen, which pagers and editors draw on.

use super::*;

#[test]
fn full_screen_alternate_screen_leaves_no_rows() {
    for (bytes, expected) in [
        // As terminfo has it for xterm-256color.
        ("one\n\x1b[?1049h\x1b[22;0;0t\x1b[H\x1b[2Jthe\npager\x1b[?1049l\x1b[23;0;0ttwo", &["one", "two"][..]),
        ("a prompt> \x1b[?1049h\x1b[2Jx\x1b[?1049lyes\ntwo", &["a prompt> yes", "two"]),
        ("one\n\x1b7\x1b[?47h\x1b[2J\x1b[Hx\x1b[2J\x1b[?47l\x1b8two", &["one", "two"]),
        ("one\n\x1b7\x1b[?1047hx\ny\x1b[?1047l\x1b8two", &["one", "two"]),
        // Without the saved cursor, it stays where it was.
        ("one\n\x1b[?47h\nx\x1b[?47ltwo", &["one", "", " two"]),
        ("one\x1b[?1049hx\x1b[?1049l\x1b[?1049hy\x1b[?1049l two", &["one two"]),
        ("one\x1b[?1049hx\x1b[?1049h\x1b[2J\x1b[?1049l two", &["one two"]),
        // With other modes in one sequence.
        ("one\x1b[?25;1049hx\x1b[?1049;25l two", &["one two"]),
        // What was never entered is not left.
        ("one\ntwo\x1b[?1049l!", &["one", "two!"]),
        ("one\ntwo\x1b[?47l!", &["one", "two!"]),
        // Each screen has its own saved cursor and margins.
        ("one\x1b7\x1b[?47h\x1b[9;9H\x1b7\x1b[?47l\x1b8!", &["one!"]),
        ("\x1b[2;3r\x1b[Ha\nb\nc\x1b[?1049h\x1b[1;9r\x1b[?1049l\nd", &["a", "c", "d"]),
    ] {
        assert_eq!(lines(bytes.as_bytes()), expected, "{bytes:?}");
    }
    // Neither what is on the screen nor what leaves it at its top.
    let many = "x\n".repeat(3 * ROWS);
    let before = (0..2 * ROWS).map(|number| format!("{number}\n")).collect::<String>();
    let shown = lines(format!("{before}\x1b[?1049h\x1b[2J{many}\x1b[50S\x1b[?1049lafter").as_bytes());
    assert_eq!((shown.len(), shown.last().map(String::as_str)), (2 * ROWS + 1, Some("after")));
}

#[test]
fn nothing_is_given_of_an_alternate_screen() {
    let (mut lines, mut events) = (Lines::new(true), Vec::new());
    lines.push(b"one\ntwo\x1b[?1049h", &mut events);
    assert!(lines.has_new() || lines.has_redraws(), "what was printed before is not held back");
    lines.redraw(&mut events);
    lines.flush(&mut events);
    assert_eq!(events.len(), 2);
    for _ in 0..3 {
        lines.push(b"\x1b[Hx\ny\n::output a=b\nz", &mut events);
        assert!(!lines.has_new() && !lines.has_redraws());
        lines.redraw(&mut events);
        lines.flush(&mut events);
    }
    let report = Event::Report("::output a=b".to_owned());
    assert_eq!(events[2..], [report.clone(), report.clone(), report]);
    events.clear();
    lines.push(b"\x1b[?1049l!\n", &mut events);
    lines.finish(&mut events);
    assert_eq!(events, [Event::Redraw { row: 1, text: "two!".into(), cont: false }]);
}

#[test]
fn alternate_screen_that_is_shown_at_the_end_is_given() {
    let bytes = b"one\ntwo\x1b[?1049h\x1b[2J\x1b[HError: no\nmemory\n\n";
    assert_eq!(lines(bytes), ["one", "two", "Error: no", "memory"]);
    let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(journal(&pieces, &[true]).lines(), ["one", "two", "Error: no", "memory"]);
    assert_eq!(lines(b"\x1b[?1049h"), [""; 0]);
}
