//! Tab stops, insert mode, repetition, the saved cursor, and resets.

use super::*;

#[test]
fn tab_stops_are_set_and_cleared() {
    for (bytes, line) in [
        ("a\x1b[Ib", "a       b"),
        ("a\x1b[2Ib", "a               b"),
        ("abc\x1b[9C\x1b[Zx", "abc     x"),
        ("abc\x1b[9C\x1b[2Zx", "xbc"),
        ("abc\x1b[65535Zx", "xbc"),
        // HTS
        ("\x1b[4C\x1bH\ra\tb\tc", "a   b   c"),
        ("\x1b[4C\x1bH\ra\x1b[2Ib\x1b[2Zx", "a   x   b"),
        // TBC
        ("\x1b[8C\x1b[g\ra\tb", "a               b"),
        ("\x1b[3C\x1b[0g\ra\tb", "a       b"),
        ("\x1b[3g\x1b[2C\x1bH\ra\tb", "a b"),
        // After the last stop a tab keeps words apart all the same.
        ("\x1b[3ga\tb", "a       b"),
        // Tabs that were printed before stay as they are.
        ("a\tb\x1b[2D\x1bH\r\x1b[Cx\ty", "ax     yb"),
        // DECST8C and RIS set them again, DECSTR does not.
        ("\x1b[3g\x1b[?5Wa\tb", "a\tb"),
        ("\x1b[3g\x1bca\tb", "a\tb"),
        ("\x1b[4C\x1bH\x1b[!p\ra\tb", "a   b"),
    ] {
        assert_eq!(lines(bytes.as_bytes()), [line], "{bytes:?}");
    }
    assert!(lines(b"x\x1b[65535Iy")[0].len() <= MAX_COLUMNS);
}

#[test]
fn insert_mode_moves_the_rest_of_the_row() {
    for (bytes, line) in [
        ("abc\r\x1b[4hxy\x1b[4lz", "xyzbc"),
        ("abc\r\x1b[C\x1b[4h日", "a日bc"),
        ("日本\r\x1b[4hx", "x日本"),
        ("abc\x1b[4hd", "abcd"),
        ("abc\r\x1b[?4hx", "xbc"),
        ("abc\r\x1b[4h\x1b[!px", "xbc"),
        ("abc\r\x1b[4he\u{301}", "e\u{301}abc"),
    ] {
        assert_eq!(lines(bytes.as_bytes()), [line], "{bytes:?}");
    }
    // What is moved beyond the right margin is lost, and the row grows no further.
    let bytes = format!("{}z\r\x1b[4h{}", "a".repeat(MAX_COLUMNS - 1), "b".repeat(10));
    assert_eq!(lines(bytes.as_bytes()), ["b".repeat(10) + &"a".repeat(MAX_COLUMNS - 10)]);
}

#[test]
fn rows_past_the_right_margin_keep_their_end() {
    let long = "a".repeat(MAX_COLUMNS) + "tail";
    for (sequence, start, end) in [("@", " a", "aa"), ("9999@", "  ", "  "), ("P", "aa", "a "), ("9999P", "  ", "  ")] {
        let line = lines(format!("{long}\r\x1b[{sequence}").as_bytes()).remove(0);
        assert_eq!((&line[..2], &line[MAX_COLUMNS - 2..]), (start, format!("{end}tail").as_str()), "{sequence}");
    }
}

#[test]
fn last_character_is_repeated() {
    for (bytes, line) in [
        ("=\x1b[3b>", "====>"),
        ("a\x1b[b\x1b[0b", "aaa"),
        ("日\x1b[2b", "日日日"),
        ("\x1b[31m=\x1b[2b\x1b[0m", "\x1b[31m===\x1b[0m"),
        ("ab\r\x1b[b", "bb"),
        ("\x1b[5bx", "x"),
    ] {
        assert_eq!(lines(bytes.as_bytes()), [line], "{bytes:?}");
    }
    assert_eq!(lines(b"x\n\x1b[2by"), ["x", "y"], "it is of the same row");
    assert!(lines(b"x\x1b[65535b")[0].len() < 1000);
}

#[test]
fn saved_cursor_is_a_place_on_the_screen() {
    // Scrolling does not move it.
    let bytes = format!("\x1b[{ROWS}Ha\x1b7\n\n\nb\x1b8c");
    assert_eq!(lines(bytes.as_bytes()).last().map(String::as_str), Some("bc"));
    for (bytes, expected) in [
        ("ab\x1b7\ncd\x1b8x", &["abx", "cd"][..]),
        ("ab\x1b[s\ncd\x1b[ux", &["abx", "cd"]),
        // There is one, and it stays.
        ("ab\x1b7c\x1b7\n\x1b8x\n\x1b8y", &["abcy"]),
        ("\x1b[31ma\x1b7\x1b[mb\x1b8c", &["\x1b[31mac\x1b[0m"]),
        // Without one, the cursor and the style are as at the start.
        ("a\n\x1b[31mb\x1b8x", &["x", "\x1b[31mb\x1b[0m"]),
        ("a\x1b[?1048hb\x1b[?1048lc", &["ac"]),
    ] {
        assert_eq!(lines(bytes.as_bytes()), expected, "{bytes:?}");
    }
}

#[test]
fn resets_undo_what_was_set() {
    // DECSTR: all but the rows, the cursor's place and the tab stops.
    let set = "\x1b[31m\x1b[2;3r\x1b[?6h\x1b[4h\x1b[2H\x1b7";
    let soft = lines(format!("{set}ab\x1b[!pc\rx\x1b[Hy\x1b8z").as_bytes());
    assert_eq!(soft, ["z", "", "x\x1b[31mb\x1b[0mc"]);
    // RIS: all, and the rows that are on the screen.
    assert_eq!(lines(format!("{set}ab\x1bcx\ny\n\n\nz\rz\x1b8w").as_bytes()), ["w", "y", "", "", "z"]);
    assert_eq!(lines(b"a\x1b[?1049hb\x1bcc"), ["c"]);
}
