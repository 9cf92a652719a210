use proptest::prelude::*;

use super::*;

fn classes(line: &str) -> Vec<(String, String)> {
    spans(line).into_iter().map(|span| (span.text.to_owned(), span.style.classes())).collect()
}

fn one(codes: &str) -> String {
    let line = format!("\u{1b}[{codes}mx");
    let mut spans = classes(&line);
    assert_eq!(spans.len(), 1, "{codes}");
    spans.remove(0).1
}

#[test]
fn ansi_keeps_plain_text_in_one_span() {
    assert_eq!(classes("hello\tworld"), [("hello\tworld".into(), String::new())]);
    assert_eq!(classes(""), []);
}

#[test]
fn ansi_styles_start_and_end() {
    let line = "a\u{1b}[1;31mred\u{1b}[0m b \u{1b}[3;4mi\u{1b}[23mu\u{1b}[m.";
    let expected = [("a", ""), ("red", "a-b a-f1"), (" b ", ""), ("i", "a-i a-u"), ("u", "a-u"), (".", "")];
    assert_eq!(classes(line), expected.map(|(text, class)| (text.to_owned(), class.to_owned())));
}

#[test]
fn ansi_maps_codes_to_classes() {
    let cases = [
        ("1", "a-b"),
        ("2", "a-d"),
        ("1;2;22", ""),
        ("4", "a-u"),
        ("4:3", "a-u"),
        ("4:0", ""),
        ("9", "a-s"),
        ("4;9", "a-us"),
        ("30", "a-f0"),
        ("97", "a-f15"),
        ("41", "a-g1"),
        ("107", "a-g15"),
        ("31;39", ""),
        ("41;49", ""),
        ("7", "a-fx a-gx"),
        ("31;7", "a-fx a-g1"),
        ("31;42;7", "a-f2 a-g1"),
        ("7;27", ""),
        ("38;5;208", "a-f208"),
        ("48;5;17;1", "a-b a-g17"),
        ("38:5:99", "a-f99"),
        ("38;2;255;0;0", "a-f196"),
        ("38:2:255:0:0", "a-f196"),
        ("38:2::255:0:0", "a-f196"),
        ("48;2;8;8;8", "a-g232"),
        ("38;2;255;255;255", "a-f231"),
        ("58;5;3;31", "a-f1"),
        ("31;38;5", "a-f1"),
        ("31;38;2;1;2", "a-f1"),
        ("38;5;256", ""),
        ("38;2;300;0;0", ""),
        ("999;1", "a-b"),
        (";1", "a-b"),
        ("1;", ""),
        ("", ""),
    ];
    for (codes, class) in cases {
        assert_eq!(one(codes), class, "{codes}");
    }
}

#[test]
fn ansi_drops_other_sequences() {
    let cases = [
        ("a\u{1b}[2Kb", "ab"),
        ("a\u{1b}[?25lb", "ab"),
        ("a\u{1b}[>4;1mb", "ab"),
        ("\u{1b}]0;title\u{7}a", "a"),
        ("\u{1b}]8;;https://x.test\u{1b}\\link\u{1b}]8;;\u{1b}\\ a", "link a"),
        ("\u{1b}(Ba", "a"),
        ("\u{1b}7a\u{1b}8", "a"),
        ("\u{1b}Pq#0\u{1b}\\a", "a"),
        ("a\u{8}\u{0}b\u{7f}\u{85}", "a\u{8}\u{0}b\u{7f}\u{85}"),
        ("a\u{1b}", "a"),
        ("a\u{1b}[31", "a"),
        ("a\u{1b}[3é", "aé"),
        ("a\u{1b}]no end", "ano end"),
        ("10%\r20%\r30%", "30%"),
        ("done\r", "done"),
        ("<b>&amp;</b>", "<b>&amp;</b>"),
    ];
    for (line, text) in cases {
        assert_eq!(strip_escapes(line), text, "{line:?}");
    }
}

#[test]
fn ansi_links_only_to_safe_urls() {
    fn links(line: &str) -> Vec<(&str, Option<&str>)> {
        spans(line).into_iter().map(|span| (span.text, span.link)).collect()
    }
    let open = |address: &str| format!("\u{1b}]8;;{address}\u{1b}\\PR 12\u{1b}]8;;\u{7} ok");
    let line = open("https://ci.test/r/12");
    assert_eq!(links(&line), [("PR 12", Some("https://ci.test/r/12")), (" ok", None)]);
    for address in ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//a.test", "https://a\u{202e}"] {
        let line = open(address);
        assert_eq!(links(&line), [("PR 12", None), (" ok", None)], "{address}");
    }
    let plain = "see https://a.test/x, or \u{1b}[1mhttp://b.test\u{1b}[0m.";
    let a = Some("https://a.test/x");
    let expected = [
        ("see ", None),
        ("https://a.test/x", a),
        (", or ", None),
        ("http://b.test", Some("http://b.test")),
        (".", None),
    ];
    assert_eq!(links(plain), expected);
}

#[test]
fn truncate_counts_visible_characters() {
    let line = "\u{1b}[31mab\u{1b}[0mcdé";
    let truncated = |most| {
        let (spans, hidden) = truncate(spans(line), most);
        (spans.into_iter().map(|span| span.text).collect::<Vec<_>>(), hidden)
    };
    assert_eq!(truncated(9), (vec!["ab", "cdé"], 0));
    assert_eq!(truncated(5), (vec!["ab", "cdé"], 0));
    assert_eq!(truncated(4), (vec!["ab", "cd"], 1));
    assert_eq!(truncated(2), (vec!["ab"], 3));
    assert_eq!(truncated(0), (vec![], 5));
}

#[test]
fn ansi_style_ends_with_the_line() {
    assert_eq!(classes("\u{1b}[31m"), []);
    assert_eq!(classes("plain"), [("plain".into(), String::new())]);
}

proptest! {
    #[test]
    fn ansi_never_leaks_escape_sequences(line in prop_oneof![
        any::<String>(),
        "(\u{1b}\\[[0-9;:?]{0,12}[a-zA-Zé]?|[ -~]|\u{1b}[\\]P(_#]|\u{7}|\r|é|\u{9b}){0,40}",
    ]) {
        for span in spans(&line) {
            prop_assert!(!span.text.is_empty());
            prop_assert!(!span.text.contains(['\x1b', '\r']));
            prop_assert!(span.link.is_none_or(links::is_safe));
            prop_assert!(!span.style.classes().contains(['"', '<', '>']));
        }
    }

    #[test]
    fn ansi_keeps_text_without_control_characters(line in "[^\\p{Cc}]*") {
        prop_assert_eq!(strip_escapes(&line), line);
    }
}
