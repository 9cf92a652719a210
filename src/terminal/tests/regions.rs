//! Margins and what scrolls within them, as xterm and ECMA-48 define it.

use super::*;

/// Lines with these numbers.
fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("line {number}")).collect()
}

#[test]
fn region_at_the_top_scrolls_into_the_log() {
    let text = numbered(0..60).join("\n");
    let mut expected = numbered(0..60);
    // The bar was there before, and is still there in the end.
    expected.push("bar".to_owned());
    assert_eq!(lines(format!("\x1b[{ROWS}Hbar\x1b[1;{}r{text}", ROWS - 1).as_bytes()), expected);
    // The rows below the region keep their places, however many they are.
    let mut expected = numbered(0..30);
    expected.extend(["x", "y", "", "z"].map(str::to_owned));
    let text = numbered(0..30).join("\n");
    assert_eq!(lines(format!("\x1b[4Hx\ny\n\nz\x1b[1;3r{text}").as_bytes()), expected);
}

/// What apt prints: `PackageManagerFancy` in its `install-progress.cc`.
fn apt(before: usize, lines: usize) -> Vec<Vec<u8>> {
    let area = |rows: usize| format!("\n\x1b7\x1b[0;{}r\x1b8\x1b[1A", rows - 1);
    let mut pieces = numbered(0..before).into_iter().map(|line| line + "\n").collect::<Vec<_>>();
    pieces.push(area(ROWS));
    for number in 0..lines {
        let percent = 100 * number / lines;
        pieces
            .push(format!("\x1b7\x1b[{ROWS};0f\x1b[42m\x1b[30mProgress: [{percent:3}%]\x1b[49m\x1b[39m [##..] \x1b8"));
        pieces.push(format!("Unpacking {number} ...\n"));
    }
    pieces.push(area(ROWS + 1) + "\x1b[J");
    pieces.push("done\n".to_owned());
    pieces.into_iter().map(String::into_bytes).collect()
}

#[test]
fn progress_bar_of_apt_leaves_nothing() {
    for (before, count) in [(0, 3), (0, 200), (10, 39), (10, 60), (48, 2), (49, 5), (50, 60), (200, 200)] {
        let pieces = apt(before, count);
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let mut expected = numbered(0..before);
        expected.extend((0..count).map(|number| format!("Unpacking {number} ...")));
        expected.push("done".to_owned());
        for pauses in [&[][..], &[true], &[false, true, true]] {
            let journal = journal(&pieces, pauses);
            let shown: Vec<_> = journal.lines().iter().map(|line| plain(line)).collect();
            assert_eq!(shown, expected, "{before} before, {count} lines");
        }
        let (mut lines, mut events) = (Lines::new(true), Vec::new());
        for piece in &pieces {
            lines.push(piece, &mut events);
            lines.redraw(&mut events);
            lines.flush(&mut events);
        }
        let redraws = events.iter().filter(|event| matches!(event, Event::Redraw { .. })).count();
        assert_eq!((redraws, lines.has_new()), (0, false), "the bar is no row");
    }
}

#[test]
fn rows_below_a_region_are_emitted_at_its_end() {
    let (mut lines, mut events) = (Lines::new(true), Vec::new());
    lines.push(b"\x1b[1;3r\x1b[4Hbar", &mut events);
    lines.flush(&mut events);
    assert_eq!((events.len(), lines.has_new()), (0, false));
    lines.push(b"\x1b[r", &mut events);
    assert!(lines.has_new());
    lines.flush(&mut events);
    assert_eq!(events.last(), Some(&Event::Row { text: "bar".into(), cont: false }));
}

#[test]
fn region_below_the_top_scrolls_within_itself() {
    for (bytes, expected) in [
        // Line feeds, IND and NEL at the bottom margin.
        ("a\nb\nc\nd\ne", &["head", "c", "d", "e", "foot"][..]),
        ("\x1b[4Hx\x1bDy", &["head", "", "x", " y", "foot"]),
        ("\x1b[4Hx\x1bEy", &["head", "", "x", "y", "foot"]),
        // RI at the top margin.
        ("a\nb\nc\x1b[2Hx\x1bMy", &["head", " y", "x", "b", "foot"]),
        // SU and SD, which leave the cursor.
        ("a\nb\nc\x1b[Sx", &["head", "b", "c", " x", "foot"]),
        ("a\nb\nc\x1b[2S", &["head", "c", "", "", "foot"]),
        ("a\nb\nc\x1b[9999S", &["head", "", "", "", "foot"]),
        ("a\nb\nc\x1b[Tx", &["head", "", "a", "bx", "foot"]),
        ("a\nb\nc\x1b[2^", &["head", "", "", "a", "foot"]),
        ("a\nb\nc\x1b[65535T", &["head", "", "", "", "foot"]),
        // Insert and delete lines, within the region only.
        ("a\nb\nc\x1b[3H\x1b[Lx", &["head", "a", "x", "b", "foot"]),
        ("a\nb\nc\x1b[2H\x1b[Mx", &["head", "x", "c", "", "foot"]),
        ("a\nb\nc\x1b[3H\x1b[999L", &["head", "a", "", "", "foot"]),
        ("a\nb\nc\x1b[1;3H\x1b[Lx", &["hexd", "a", "b", "c", "foot"]),
        ("a\nb\nc\x1b[5;2H\x1b[Mx", &["head", "a", "b", "c", "fxot"]),
        // Line feeds outside do not scroll it.
        ("a\nb\nc\x1b[5H\n\nx", &["head", "a", "b", "c", "foot", "", "x"]),
        ("a\x1b[H\x1bMx", &["xead", "a", "", "", "foot"]),
    ] {
        let bytes = format!("head\x1b[5Hfoot\x1b[2;4r\x1b[2H{bytes}");
        assert_eq!(lines(bytes.as_bytes()), expected, "{bytes:?}");
    }
    // At the bottom of the screen, below the margin, nothing scrolls at all.
    let bytes = format!("a\x1b[1;2r\x1b[{ROWS}Hx\ny\nz");
    assert_eq!(lines(bytes.as_bytes()).last().map(String::as_str), Some("z"));
    assert_eq!(lines(bytes.as_bytes()).len(), ROWS);
}

#[test]
fn scroll_up_takes_rows_into_the_log() {
    assert_eq!(lines(b"a\nb\nc\x1b[Sx"), ["a", "b", "c", " x"]);
    assert_eq!(lines(b"a\nb\x1b[99S\x1b[Hx"), ["a", "b", "x"]);
    assert_eq!(lines(b"a\nb\x1b[2Tx"), ["", " x", "a", "b"]);
    // The cursor is on a row that is blank then, and the rows above it are blank.
    assert_eq!(lines(b"\x1b[99S\x1b[65535S\x1b[50Sx"), ["x"]);
    // With more numbers, T is about the mouse.
    assert_eq!(lines(b"a\x1b[1;1;1;1;1Tb"), ["ab"]);
}

#[test]
fn invalid_margins_are_ignored() {
    for (bytes, line) in [
        ("ab\x1b[rc", "cb"),
        ("ab\x1b[;rc", "cb"),
        ("ab\x1b[0;0rc", "cb"),
        ("ab\x1b[0;65535rc", "cb"),
        ("ab\x1b[2rc", "cb"),
        // Reversed, too small, off the screen, not for margins.
        ("ab\x1b[5;2rc", "abc"),
        ("ab\x1b[3;3rc", "abc"),
        ("ab\x1b[60;70rc", "abc"),
        ("ab\x1b[99999999999999999999;1rc", "abc"),
        ("ab\x1b[?1;3rc", "abc"),
    ] {
        assert_eq!(lines(bytes.as_bytes()), [line], "{bytes:?}");
    }
    // Those that are ignored leave the margins as they were.
    assert_eq!(lines(b"\x1b[2;3r\x1b[9;4r\x1b[2Ha\nb\nc"), ["", "b", "c"]);
}

#[test]
fn cursor_stops_at_surrounding_margins() {
    for (bytes, expected) in [
        ("\x1b[4H\x1b[9Ax", &["", "", "x"][..]),
        ("\x1b[4H\x1b[9Fx", &["", "", "x"]),
        ("\x1b[4H\x1b[9Bx", &["", "", "", "", "x"]),
        ("\x1b[4H\x1b[9Ex", &["", "", "", "", "x"]),
        ("\x1b[2H\x1b[9Ax", &["x"]),
        ("\x1b[6H\x1b[1Bx", &["", "", "", "", "", "", "x"]),
        ("\x1b[7H\x1b[9Ax", &["", "", "x"]),
        ("\x1b[4H\x1b[3ex", &["", "", "", "", "", "", "x"]),
        ("\x1b[6dx", &["", "", "", "", "", "x"]),
    ] {
        assert_eq!(lines(format!("\x1b[3;5r{bytes}").as_bytes()), expected, "{bytes:?}");
    }
}

#[test]
fn origin_mode_counts_from_the_top_margin() {
    for (bytes, expected) in [
        ("x\x1b[99Hy", &["", "", "x", "", "y"][..]),
        ("\x1b[2dx\x1b[2;3fy", &["", "", "", "x y"]),
        ("\x1b[ex", &["", "", "", "x"]),
        ("\x1b[99ex", &["", "", "", "", "x"]),
        ("\x1b[H\x1b[1;2rx", &["x"]),
        ("\x1b[?6lx", &["x"]),
        // Origin mode is saved with the cursor, which is restored within the margins.
        ("\x1b7\x1b[?6l\x1b8\x1b[Hx", &["", "", "x"]),
        ("\x1b[5H\x1b7\x1b[1;3r\x1b8x", &["", "", "x"]),
        // From above the margin, where only the main screen's margins can leave it.
        ("\x1b[?47h\x1b[H\x1b[?47l\x1b[ex", &["", "x"]),
        ("\x1b[?47h\x1b[H\x1b[?47l\x1b[Ax", &["x"]),
    ] {
        assert_eq!(lines(format!("\x1b[3;5r\x1b[?6h{bytes}").as_bytes()), expected, "{bytes:?}");
    }
}
